"""The command that shows the fleet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .session import JsonOption, api_session

_CHECK_STYLES = {"warning": "yellow", "critical": "red"}


def nodes(as_json: JsonOption = False) -> None:
    """List the nodes: how they are, what they can do, and why where they cannot.

    Example: cloudx nodes
    """
    with api_session() as api:
        from cloudx.terminal import print_json, say

        found = api.get("/api/nodes")
        if as_json:
            print_json(found)
        elif not found:
            say("No node has registered. Start a worker with `cloudx worker` (or use `cloudx up`).")
        else:
            _print_nodes(found)


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
