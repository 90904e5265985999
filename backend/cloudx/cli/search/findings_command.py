"""The command that searches what all scans found: a table, or everything in a format of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..diff.command import DiffFormat, chosen_format
from ..results_command import as_array, sink
from ..session import JsonOption, api_session

_COLUMNS = ("LAST SEEN", "FIRST SEEN", "ADDRESS", "PORT", "STATE", "SERVICE", "HOST NAME")
Part = Annotated[str | None, typer.Option(help="A part of it, in small or capital letters.")]


def findings(
    ip: Annotated[str | None, typer.Option(help="One address.")] = None,
    cidr: Annotated[str | None, typer.Option(help="A network.")] = None,
    port: Annotated[str | None, typer.Option("--port", "-p", help="Ports: 80, 80,443, 1-1024, https.")] = None,
    protocol: Annotated[str | None, typer.Option(help="tcp, udp, sctp or icmp.")] = None,
    service: Part = None,
    product: Part = None,
    hostname: Part = None,
    since: Annotated[str | None, typer.Option(help="Observed then or later: an ISO time with its zone.")] = None,
    until: Annotated[str | None, typer.Option(help="Observed then or before.")] = None,
    scan: Annotated[str | None, typer.Option(help="Of this scan: its id, or the word: last.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every finding, not only what is open now.")] = False,
    found_format: Annotated[
        DiffFormat | None, typer.Option("--format", "-f", help="Everything, in this format.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file; its ending names the format.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the table.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Search what all scans found: what is open now, newest first. A port that was probed again and not found is gone.

    Example: cloudx findings --cidr 192.0.2.0/24 --service http --since 2026-11-01T00:00:00Z
    """
    chosen = chosen_format(found_format, file, as_json)
    given: dict[str, Any] = {
        "ip": ip, "cidr": cidr, "port": port, "protocol": protocol, "service": service, "product": product,
        "hostname": hostname, "since": since, "until": until, "latest": "false" if everything else None,
    }  # fmt: skip
    with api_session() as api:
        from cloudx.cli.api_client import scan_id_of
        from cloudx.terminal import say

        query = {name: value for name, value in given.items() if value is not None}
        query |= {"scan": scan_id_of(api, scan)} if scan is not None else {}
        if chosen is None:
            _print(api.get("/api/findings", limit=limit, **query), limit)
            return
        sent = DiffFormat.NDJSON if chosen is DiffFormat.JSON else chosen
        with api.stream("/api/findings", format=sent.value, **query) as pieces, sink(file) as write:
            for piece in as_array(pieces) if chosen is DiffFormat.JSON else pieces:
                write(piece)
        if file is not None and str(file) != "-":
            say(f"Written to {file}.")


def _print(page: dict[str, Any], limit: int) -> None:
    from cloudx.terminal import out, say

    if not page["items"]:
        say("No scan has found anything of that kind, or it was closed when it was probed again (--all shows it).")
        return
    out().print(_table(page["items"]))
    if page["next_cursor"]:
        say(f"These are the newest {limit:,}. All of them: the same command with --format csv -o findings.csv")


def _table(items: list[dict[str, Any]]) -> Any:
    from rich.text import Text

    from cloudx.terminal import table, visible

    from ..scan_tables import names_of, port_of, service_of

    shown = table(*_COLUMNS, right=("PORT",), folds=("SERVICE", "HOST NAME"))
    for item in items:
        times = (item["observed_at"], item.get("first_seen"))
        shown.add_row(
            *(Text(visible(f"{moment[:19]}Z" if moment else "")) for moment in times),
            visible(item["ip"]),
            port_of(item),
            Text(visible(item["state"])),
            Text(service_of(item)),
            Text(names_of(item)),
        )
    return shown
