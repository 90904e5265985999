"""The command that answers a complaint: who probed an address?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..session import JsonOption, api_session

_COLUMNS = ("STARTED", "ENDED", "OUTCOME", "NODE", "FROM", "SCAN", "TOOL", "PORTS", "ASKED BY", "SCOPE")


def probes(
    ip: Annotated[str, typer.Argument(metavar="IP", help="The address that was probed.")],
    at: Annotated[str | None, typer.Option(help="When: an ISO time with its zone; now by default.")] = None,
    window: Annotated[int | None, typer.Option(help="Seconds before and after it.  [default: 300]")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the attempts that may have sent a packet to an address then; for operators and admins.

    Example: cloudx probes 192.0.2.7 --at 2026-11-24T13:37:00Z --window 60
    """
    with api_session() as api:
        from cloudx.terminal import print_json, say

        query: dict[str, Any] = {"ip": ip, "at": at, "window": window}
        answer = api.get("/api/probes", **{name: value for name, value in query.items() if value is not None})
        if as_json:
            print_json(answer)
            return
        if answer["probes"]:
            _print_probes(answer["probes"])
        between = f"{answer['ip']} between {_second(answer['from'])} and {_second(answer['to'])}"
        say(
            f"{_counted(answer['probes'])} may have sent to {between}. Deleted and pruned scans are not known any more."
        )


def _counted(found: list[dict[str, Any]]) -> str:
    return {0: "No attempt", 1: "One attempt"}.get(len(found), f"{len(found):,} attempts")


def _second(moment: str | None) -> str:
    """In UTC, as the API has it: an answer to a complaint quotes it."""
    return f"{moment[:19]}Z" if moment else ""


def _print_probes(found: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from cloudx.terminal import out, table, visible

    shown = table(*_COLUMNS, folds=("PORTS", "SCOPE"))
    for probe in found:
        scope = probe["scope"]
        row = (
            _second(probe["started_at"]), _second(probe["ended_at"]), probe["outcome"] or "running", probe["node_id"],
            probe["source_ip"] or "", probe["scan_id"], f"{probe['tool']} {probe['scan_type']}", probe["ports"] or "",
            probe["asked_by"], f"{scope['owner']}: {scope['note']}" if scope else "",
        )  # fmt: skip
        shown.add_row(*(Text(visible(value)) for value in row))
    out().print(shown)
