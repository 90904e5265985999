"""The commands about nodes: the fleet, and forgetting one that is gone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cloudx.domain.errors import InvalidInput

from .session import JsonOption, api_session

_NODE_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._:-]{1,128}\Z", re.ASCII)  # . and .. would leave the address
_CHECK_STYLES = {"warning": "yellow", "critical": "red"}


nodes = typer.Typer()


@nodes.callback(invoke_without_command=True)
def list_nodes(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the nodes: how they are, what they can do, and why where they cannot.

    Example: cloudx nodes
    """
    if context.invoked_subcommand is not None:
        return
    with api_session() as api:
        from cloudx.terminal import print_json, say

        found = api.get("/api/nodes")
        if as_json:
            print_json(found)
        elif not found:
            say("No node has registered. Start a worker with `cloudx worker` (or use `cloudx up`).")
        else:
            _print_nodes(found)


@nodes.command("remove")
def remove_node(
    node_id: Annotated[str, typer.Argument(metavar="ID", help="As `cloudx nodes` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Forget a node that is gone; one that beats is refused.

    Example: cloudx nodes remove vps3
    """
    if not _NODE_ID.match(node_id):
        raise InvalidInput("id", f"{node_id[:64]!r} is not a node's id. `cloudx nodes` shows the ids there are.")
    with api_session() as api:
        from cloudx.terminal import print_json, say

        answer = api.delete(f"/api/nodes/{node_id}")
        print_json(answer) if as_json else say(answer["message"])


def _print_nodes(found: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from cloudx.terminal import out, table, visible

    from .scan_tables import styled

    columns = ("NODE", "STATUS", "VERSION", "ROLE", "ADDRESS", "CPU", "MEM", "SCANS", "SEEN", "CAN")
    shown = table(*columns, right=("CPU", "MEM", "SCANS", "SEEN"), folds=("CAN",))
    now = datetime.now(UTC)
    for node in found:
        shown.add_row(
            Text(visible(node["node_id"])),
            styled(node["status"]),
            visible(node["version"], 20),
            visible(node["role"]),
            visible(node["ip"]),
            _percent(node.get("cpu")),
            _percent(node.get("mem")),
            str(node.get("scans_running", "")),
            _seen(node, now),
            Text(visible(", ".join(node["capabilities"]))),
        )
    out().print(shown)
    for node in found:
        _print_failing_checks(node)


def _print_failing_checks(node: dict[str, Any]) -> None:
    from rich.text import Text

    from cloudx.terminal import out, visible

    for check in node.get("checks") or []:
        if check["status"] != "passing":
            what = f"{node['node_id']}: {check['name']} {check['status']}: {check['output']}"
            out().print(Text(visible(what, 600), style=_CHECK_STYLES.get(check["status"], "")), soft_wrap=True)


def _seen(node: dict[str, Any], now: datetime) -> str:
    """The age of the last heartbeat, marked `stale` if the node's row is."""
    from .scan_text import age

    seen = age(node["last_seen"], now) or "never"
    return f"{seen} stale" if node.get("stale") else seen


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"
