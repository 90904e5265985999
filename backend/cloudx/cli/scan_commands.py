"""The commands about scans: scan, scans, show, pause, resume, stop, delete."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cloudx.domain.errors import InvalidInput
from cloudx.domain.names import Family
from cloudx.domain.scans import ScanStatus
from cloudx.domain.tools import Tool
from cloudx.processes.exits import FAILED

from .records.read_targets import read_list
from .scan_text import caps_of
from .session import JsonOption, ScanIdArgument, api_session

if TYPE_CHECKING:
    from .api_client import ApiClient

SUBMIT_TRIES = 3


def scan(
    target: Annotated[
        list[str] | None, typer.Argument(help="Addresses, CIDRs, ranges (192.0.2.1-20) or host names; - reads a list.")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="FILE", help="A list of targets, with # comments; - is standard input."),
    ] = None,
    list_name: Annotated[
        str | None, typer.Option("--list", metavar="NAME", help="A named list in place of targets: `cloudx lists`.")
    ] = None,
    tool: Annotated[Tool, typer.Option(help="The scanner.")] = Tool.NMAP,
    scan_type: Annotated[
        str | None,
        typer.Option("--type", help="How the tool scans: nmap quick, masscan udp_scan, …; its usual way by default."),
    ] = None,
    ports: Annotated[
        str | None, typer.Option("--ports", "-p", help="80,443, 1-1000, - for all, http, T:80,U:53.")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Packets per second over the whole fleet.")] = None,
    rate_per_prefix: Annotated[
        list[str] | None,
        typer.Option(metavar="LENGTH:RATE", help="Packets per second to any one prefix; may be repeated."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Targets to leave out; may be repeated.")] = None,
    priority: Annotated[
        int | None, typer.Option(help="Scans of a higher priority go first; above 0 it takes an admin.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for the scan.")] = None,
    max_workers: Annotated[
        int | None, typer.Option(min=1, help="At most so many workers at a time, where Nomad dispatches them.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(min=0, max=5, help="Tries beyond the first of each probe that is not answered.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="Stop it so long after it began; keep what it found.")
    ] = None,
    family: Annotated[Family | None, typer.Option(help="Which addresses of a host name; IPv4 by default.")] = None,
    skip_unresolved: Annotated[
        bool, typer.Option("--skip-unresolved", help="Go on without host names that have no address.")
    ] = False,
    timeout: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="When nmap gives a host up; it counts as failed then.")
    ] = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="Look up the host names of what is found.")] = False,
    suspended: Annotated[
        bool, typer.Option("--suspended", help="Submit it paused; `cloudx resume ID` starts it.")
    ] = False,
    then: Annotated[
        str | None,
        typer.Option(metavar="nmap[:TYPE]", help="nmap default, intense or vuln on each open port as it is found."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Stay until it is over, or print its id at once.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Start a scan, watch it, and print what it found.

    Ctrl-C ends the watching; the scan goes on. Exits with 1 unless the scan completed.

    Example: cloudx scan 127.0.0.1 --tool nmap --ports 1-10000
    Example: cloudx scan 192.0.2.0/24 --tool masscan --ports 1-1000 --then nmap:intense
    """
    named = [text for text in target or [] if text != "-"]
    files = [*(file or []), *("-" for text in target or [] if text == "-")]
    request = {
        "list": list_name,
        "tool": tool.value,
        "scan_type": scan_type,
        "ports": ports,
        "rate": rate,
        "rate_per_prefix": caps_of(rate_per_prefix),
        "exclude": exclude,
        "priority": priority,
        "name": name,
        "max_workers": max_workers,
        "retries": retries,
        "budget_seconds": budget,
        "family": family and family.value,
        "skip_unresolved": skip_unresolved or None,
        "timeout_seconds": timeout,
        "resolve": resolve or None,
        "suspended": suspended or None,
        "then": then and _then(then),
    }
    with api_session() as api:
        request["targets"] = [*named, *map(read_list, files)] or None
        if not request["targets"] and not list_name:
            raise InvalidInput("target", "No target given. Name one, or a list of them with --file FILE.")
        submitted = _submit(api, {field: value for field, value in request.items() if value is not None})
        if wait and not suspended:
            _watch(api, submitted["job_id"], f"{tool.value} {list_name or ' '.join([*named, *files])}", as_json)
        else:
            _print_submitted(submitted, as_json)


def _then(text: str) -> dict[str, str]:
    """What follows, written as the tool and, after a colon, its scan type."""
    tool, colon, scan_type = text.partition(":")
    return {"tool": tool, **({"scan_type": scan_type} if colon else {})}


def scans(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    status: Annotated[ScanStatus | None, typer.Option(help="Only scans in this state.")] = None,
    tool: Annotated[Tool | None, typer.Option(help="Only scans by this tool.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List scans, newest first.

    Example: cloudx scans --status running
    """
    with api_session() as api:
        query: dict[str, Any] = {"limit": limit, "status": status and status.value, "tool": tool and tool.value}
        found = api.get("/api/scans", **{key: value for key, value in query.items() if value is not None})
        if as_json:
            _print_json(found)
        elif found:
            from .scan_tables import print_scans

            print_scans(found)
        else:
            _say("There is no such scan." if status or tool else "There is no scan yet. Start one: cloudx scan TARGET")


def show(
    scan_id: ScanIdArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it is over, then print what it found.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one scan: progress, coverage, chunks, workers.

    With --wait it exits with 1 unless the scan completed.

    Example: cloudx show last
    """
    with api_session() as api:
        found = api.get(_path(api, scan_id))
        if wait:
            _watch(api, found["job_id"], f"{found['tool']} {found['target']}", as_json)
        elif as_json:
            _print_json(found)
        else:
            from .scan_tables import print_scan

            print_scan(found)


def pause(scan_id: ScanIdArgument, as_json: JsonOption = False) -> None:
    """Pause a scan; what it has found is kept, and `cloudx resume` lets it go on.

    Example: cloudx pause last
    """
    _order(scan_id, "pause", as_json)


def resume(scan_id: ScanIdArgument, as_json: JsonOption = False) -> None:
    """Let a paused scan go on from where it was.

    Example: cloudx resume last
    """
    _order(scan_id, "resume", as_json)


def stop(scan_id: ScanIdArgument, as_json: JsonOption = False) -> None:
    """Stop a scan; what it has found is kept.

    Example: cloudx stop last
    """
    _order(scan_id, "stop", as_json)


def delete(scan_id: ScanIdArgument, as_json: JsonOption = False) -> None:
    """Delete a scan and all it found; a running scan is stopped.

    Example: cloudx delete 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    with api_session() as api:
        answer = api.delete(_path(api, scan_id))
        _print_json(answer) if as_json else _say(answer["message"])


def _order(scan_id: str, what: str, as_json: bool) -> None:
    with api_session() as api:
        answer = api.post(f"{_path(api, scan_id)}/{what}", repeatable=True)
        _print_json(answer) if as_json else _say(answer["message"])


def _submit(api: ApiClient, request: dict[str, Any]) -> dict[str, Any]:
    """Submit until the API answers; the key makes a repeated request the same scan."""
    from .api_client import ApiRefused
    from .follow_scan import is_temporary

    key, tries = str(uuid.uuid4()), SUBMIT_TRIES
    while True:
        tries -= 1
        try:
            return dict(api.post("/api/scans", request, idempotency_key=key))
        except ApiRefused as error:
            if tries == 0 or not is_temporary(error):
                raise
            time.sleep(min(error.retry_after_seconds or 1.0, 5.0))


def _watch(api: ApiClient, scan_id: str, title: str, as_json: bool) -> None:
    """Follow a scan to its end and print it; exits with 1 unless it completed."""
    from .follow_scan import follow, interrupts_alike
    from .progress_display import display_for
    from .scan_tables import print_outcome

    try:
        with interrupts_alike(), display_for(title) as display:
            ended = follow(api, scan_id, display)
    except KeyboardInterrupt:
        _say(f"The scan goes on. `cloudx show {scan_id} --wait` watches it again, `cloudx stop {scan_id}` stops it.")
        raise typer.Exit(FAILED) from None
    _print_json(ended) if as_json else print_outcome(api, ended)
    if ended["status"] != ScanStatus.COMPLETED:
        raise typer.Exit(FAILED)


def _print_submitted(submitted: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(submitted)
        return
    typer.echo(submitted["job_id"])
    _say("Submitted. `cloudx show last --wait` watches it.")


def _path(api: ApiClient, scan_id: str) -> str:
    from .api_client import scan_id_of

    return f"/api/scans/{scan_id_of(api, scan_id)}"


def _print_json(document: Any) -> None:
    from cloudx.terminal import print_json

    print_json(document)


def _say(message: str) -> None:
    from cloudx.terminal import say

    say(message)
