"""The commands of schedules."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cloudx.domain.errors import InvalidInput
from cloudx.domain.timing.schedules import Missed, Overlap
from cloudx.domain.tools import Tool

from ..session import JsonOption, api_session
from .calls import add_record, remove_record
from .read_targets import read_list

schedules = typer.Typer(help="Scans that are submitted again and again.", no_args_is_help=True)
ScheduleIdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


@schedules.command("list")
def list_schedules(as_json: JsonOption = False) -> None:
    """List the schedules: when each runs next, and what became of its last run.

    Example: cloudx schedules list
    """
    with api_session() as api:
        from cloudx.terminal import print_json, say

        from .schedule_table import print_schedules

        found = api.get("/api/schedules")
        if as_json:
            print_json(found)
        elif found:
            print_schedules(found)
        else:
            say("There are no schedules. Add one: cloudx schedules add --help")


@schedules.command("add")
def add_schedule(
    name: Annotated[str, typer.Argument(help="Its name, which is used once.")],
    cron: Annotated[str, typer.Argument(help="Minute, hour, day of month, month, day of week: '0 3 * * 1-5'.")],
    target: Annotated[list[str] | None, typer.Argument(help="Addresses, CIDRs, ranges or host names.")] = None,
    timezone: Annotated[str, typer.Option("--timezone", "-z", help="By whose clocks: Europe/Berlin.")] = "UTC",
    file: Annotated[
        list[str] | None, typer.Option("--file", "-f", metavar="FILE", help="A list of targets; - is standard input.")
    ] = None,
    list_name: Annotated[str | None, typer.Option("--list", metavar="NAME", help="A named list.")] = None,
    tool: Annotated[Tool, typer.Option(help="The scanner.")] = Tool.NMAP,
    scan_type: Annotated[str | None, typer.Option("--type", help="How the tool scans, as for `cloudx scan`.")] = None,
    ports: Annotated[str | None, typer.Option("--ports", "-p", help="80,443, 1-1000, as for `cloudx scan`.")] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Packets per second over the whole fleet.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Targets to leave out; may be repeated.")] = None,
    overlap: Annotated[Overlap, typer.Option(help="While the run before is not over.")] = Overlap.SKIP,
    missed: Annotated[Missed, typer.Option(help="When nothing served schedules at that time.")] = Missed.SKIP,
    as_json: JsonOption = False,
) -> None:
    """Submit a scan at certain times; it goes by the scopes, exclusions and lists of each time.

    Example: cloudx schedules add nightly "0 3 * * *" 10.0.0.0/24 --timezone Europe/Berlin --tool masscan -p 80,443
    """
    targets = [*(target or []), *map(read_list, file or [])]
    if not targets and not list_name:
        raise InvalidInput("target", "No target given. Name one, a list of them with --file FILE, or a --list NAME.")
    scan = {
        "targets": targets or None,
        "list": list_name,
        "tool": tool.value,
        "scan_type": scan_type,
        "ports": ports,
        "rate": rate,
        "exclude": exclude,
    }
    body: dict[str, Any] = {"name": name, "cron": cron, "timezone": timezone, "overlap": overlap, "missed": missed}
    given = {field: value for field, value in scan.items() if value is not None}
    add_record("schedules", body | {"scan": given}, None, as_json)


@schedules.command("run")
def run_schedule(schedule_id: ScheduleIdArgument, as_json: JsonOption = False) -> None:
    """Submit its scan now, as yours, beside its times; prints the scan's id.

    Example: cloudx schedules run 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    with api_session() as api:
        from cloudx.terminal import print_json, say

        submitted = api.post(_path(schedule_id) + "/run")
        if as_json:
            print_json(submitted)
            return
        typer.echo(submitted["job_id"])
        say("Submitted. `cloudx show last --wait` watches it.")


@schedules.command("enable")
def enable_schedule(schedule_id: ScheduleIdArgument, as_json: JsonOption = False) -> None:
    """Let a schedule run again; its scans are yours from then on.

    Example: cloudx schedules enable 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _set_enabled(schedule_id, True, as_json)


@schedules.command("disable")
def disable_schedule(schedule_id: ScheduleIdArgument, as_json: JsonOption = False) -> None:
    """Keep a schedule, and run nothing of it.

    Example: cloudx schedules disable 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    _set_enabled(schedule_id, False, as_json)


@schedules.command("remove")
def remove_schedule(schedule_id: ScheduleIdArgument, as_json: JsonOption = False) -> None:
    """Forget a schedule; the scans that it submitted go on.

    Example: cloudx schedules remove 019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b
    """
    remove_record("schedules", schedule_id, as_json)


@schedules.command("tick")
def tick(as_json: JsonOption = False) -> None:
    """Serve what is due now, once and straight from the database, as a running API does each second.

    Example: cloudx schedules tick
    """
    from cloudx.bootstrap.database import require_schema
    from cloudx.bootstrap.schedules import schedule_runner
    from cloudx.processes.startup import read_settings
    from cloudx.terminal import print_json, say

    settings = read_settings()
    require_schema(settings)
    submitted = schedule_runner(settings)()
    if as_json:
        print_json({"submitted": submitted})
    else:
        say(f"Submitted {submitted} scan{'' if submitted == 1 else 's'}.")


def _set_enabled(schedule_id: str, is_enabled: bool, as_json: bool) -> None:
    with api_session() as api:
        from cloudx.terminal import print_json, say

        changed = api.patch(_path(schedule_id), {"enabled": is_enabled})
        if as_json:
            print_json(changed)
        else:
            runs = changed["next_runs"]
            say(f"It runs next at {runs[0]}." if runs else "It does not run until you enable it.")


def _path(schedule_id: str) -> str:
    from ..api_client import checked_id

    return f"/api/schedules/{checked_id(schedule_id)}"
