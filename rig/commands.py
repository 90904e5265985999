"""The command line of the rig: bring one up, and break things in it by hand."""

from __future__ import annotations

import signal
import time
from enum import StrEnum
from typing import Annotated

import typer

from .rig import Interrupted, Rig, RigFailed

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Kind(StrEnum):
    """The kind of fleet."""

    NOMAD = "nomad"
    RESIDENT = "resident"


@app.command()
def up(
    n: Annotated[int, typer.Option("--vpses", "-n", help="How many VPSes.")] = 8,
    kind: Annotated[Kind, typer.Option(help="With Nomad, Consul and Vault, or resident workers alone.")] = Kind.NOMAD,
) -> None:
    """Bring a rig up and stay until Ctrl-C, which takes all of it down. Example: scripts/rig up --vpses 4"""
    from cloudx.devcluster.waiting import Interrupted as FoundNoServers

    rig: Rig | None = None
    try:
        rig = _new_rig(kind, n)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # No exception out of a handler: a library that runs meanwhile could swallow it.
            signal.signal(number, lambda *_: rig.stopping.set() if rig else None)
        started = time.monotonic()
        rig.start()
        say(f"Healthy after {time.monotonic() - started:.1f} s.")
        rig.announce()
        _stay(rig)
    except (Interrupted, FoundNoServers):
        say("Interrupted.")
    except RigFailed as error:
        say(f"error: {error}")
        raise typer.Exit(1) from None
    finally:
        if rig is not None and rig.has_begun:
            say("Taking everything down …")
            rig.stop()
            say("Nothing of it is left.")


def _new_rig(kind: Kind, vpses: int) -> Rig:
    if kind is Kind.RESIDENT:
        from .resident import ResidentRig

        return ResidentRig(vpses, say=say, dies_with_us=True)
    from .nomad_fleet import NomadRig

    return NomadRig(vpses, say=say, dies_with_us=True)


def _stay(rig: Rig) -> None:
    """Report each process that ends; start none again, since a person or a test may have killed it."""
    running: set[str] = set()
    while not rig.stopping.wait(1.0):
        now = {key for key in rig.processes.all_keys() if rig.processes.is_running(key)}
        for key in sorted(running - now):
            say(f"{key} ended; its log is {rig.processes.log_of(key)}. `scripts/rig start {key}` starts it again.")
        running = now


def say(message: str) -> None:
    """Print a message to standard error, as make does."""
    typer.echo(message, err=True)
