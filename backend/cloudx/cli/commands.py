"""Every command of `cloudx`. Modules load rich and requests only when a command runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from cloudx import __version__
from cloudx.cli.cluster.commands import cluster

from .dev import dev
from .diff.command import diff
from .history.audit_command import audit
from .history.probes_command import probes
from .node_commands import nodes
from .policy_commands import canaries, exclusions, scopes, tokens
from .processes import agent, db, serve, up, worker
from .prune_command import prune
from .records.lists import lists
from .records.schedules import schedules
from .records.webhooks import webhooks
from .results_command import results
from .scan_commands import delete, pause, resume, scan, scans, show, stop
from .search.findings_command import findings

app = typer.Typer(
    name="cloudx",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"cloudx {__version__}")
        raise typer.Exit


@app.callback()
def cloudx(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Scan networks with nmap, masscan and zmap, from one machine or a fleet.

    It finds the API by CLOUDX_URL and CLOUDX_TOKEN, else in the data folder that `cloudx up` wrote.
    Exit codes: 0 done, 1 the command failed, 2 wrong usage.

    Example: cloudx scan 127.0.0.1 --tool nmap --ports 1-10000
    """


_PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Scans": {
        "scan": scan,
        "scans": scans,
        "show": show,
        "pause": pause,
        "resume": resume,
        "stop": stop,
        "delete": delete,
        "results": results,
        "diff": diff,
        "findings": findings,
        "lists": lists,
        "schedules": schedules,
    },
    "The fleet, and who may": {
        "nodes": nodes,
        "scopes": scopes,
        "exclusions": exclusions,
        "canaries": canaries,
        "tokens": tokens,
        "audit": audit,
        "probes": probes,
        "webhooks": webhooks,
    },
    "Processes": {"up": up, "serve": serve, "worker": worker, "agent": agent, "db": db, "prune": prune},
    "The cluster": {"dev": dev, "cluster": cluster},
}
for panel, commands in _PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)
