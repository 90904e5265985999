"""The faults as commands: `scripts/rig kill-vps 3`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from . import faults, namespaces
from .commands import app, say
from .layout import RigFolder, vps
from .processes import Processes


def _of_a_vps(number: int) -> int:
    if not namespaces.exists(vps(number)):
        raise typer.BadParameter(f"The rig has no {vps(number)}. `scripts/rig processes` lists what it has.")
    return number


Number = Annotated[int, typer.Argument(metavar="N", callback=_of_a_vps, help="The VPS's number: 3 is cxvps3.")]


def _processes() -> Processes:
    return Processes(RigFolder())


@app.command()
def kill_vps(number: Number) -> None:
    """Pull a VPS's plug: its link down, its processes killed. Example: scripts/rig kill-vps 3"""
    faults.kill_vps(vps(number))


@app.command()
def revive_vps(number: Number) -> None:
    """Let a killed VPS boot again. Example: scripts/rig revive-vps 3"""
    faults.revive_vps(_processes(), vps(number))


@app.command()
def cut_off(
    number: Number, seconds: Annotated[float, typer.Option(help="Heal by itself after this time; 0: never.")] = 0
) -> None:
    """Part a VPS from the control network; it still reaches the targets. Example: scripts/rig cut-off 3 --seconds 60"""
    faults.cut_off(vps(number))
    if seconds:
        time.sleep(seconds)
        faults.heal(vps(number))


@app.command()
def heal(number: Number) -> None:
    """End a partition. Example: scripts/rig heal 3"""
    faults.heal(vps(number))


@app.command()
def kill_scanners(number: Number) -> None:
    """kill -9 of the scanners on a VPS. Example: scripts/rig kill-scanners 3"""
    say(f"{faults.kill_scanners(vps(number))} killed")


@app.command()
def kill_workers(number: Number) -> None:
    """kill -9 of the workers on a VPS. Example: scripts/rig kill-workers 3"""
    say(f"{faults.kill_workers(vps(number))} killed")


@app.command()
def fill_disk(number: Number) -> None:
    """Fill a VPS's disk. Example: scripts/rig fill-disk 3"""
    faults.fill_disk(vps(number))


@app.command()
def free_disk(number: Number) -> None:
    """Make room on a filled disk again. Example: scripts/rig free-disk 3"""
    faults.free_disk(vps(number))


@app.command()
def processes() -> None:
    """List the rig's processes, by the names that stop, start and kill take. Example: scripts/rig processes"""
    known = _processes()
    for key in known.all_keys():
        typer.echo(f"{key:24}{'runs' if known.is_running(key) else 'ended'}")


@app.command()
def stop(
    key: str, seconds: Annotated[float, typer.Option(help="Start it again after this time; 0: never.")] = 0
) -> None:
    """Stop a process. Example: scripts/rig stop cxsrv0.postgres --seconds 10"""
    known = _processes()
    known.stop(key)
    if seconds:
        time.sleep(seconds)
        known.start_again(key)


@app.command()
def unseal() -> None:
    """Unseal Vault after it was started again. Example: scripts/rig unseal"""
    from . import vault

    vault.unseal(RigFolder())


@app.command()
def start(key: str) -> None:
    """Start a process as it was started. Example: scripts/rig start cxvps3.worker"""
    _processes().start_again(key)


@app.command()
def kill(key: str) -> None:
    """kill -9 of a process. Example: scripts/rig kill cxvps3.worker"""
    _processes().kill(key)


@app.command()
def slow_down(
    delay_ms: Annotated[int, typer.Option(help="Milliseconds that answers take longer.")] = 100,
    loss_percent: Annotated[int, typer.Option(help="Percent of the probes, and of the answers, that are lost.")] = 2,
) -> None:
    """Make the way to the targets slow and lossy. Example: scripts/rig slow-down --delay-ms 100 --loss-percent 2"""
    faults.slow_down(_processes(), delay_ms, loss_percent)


@app.command()
def speed_up() -> None:
    """End slow-down. Example: scripts/rig speed-up"""
    faults.speed_up(_processes())


@app.command()
def clock(
    key: str, ahead: Annotated[int, typer.Option(help="Seconds, may be negative; 0: right again.")] = 600
) -> None:
    """Start a process again with a wrong clock. Example: scripts/rig clock cxvps3.worker --ahead 600"""
    faults.set_clock_ahead(_processes(), key, ahead)


@app.command()
def count(seconds: Annotated[float, typer.Argument(help="For how long.")] = 10) -> None:
    """Count the probes that reach the targets. Example: scripts/rig count 30"""
    from .capture import Capture

    with Capture(RigFolder()) as capture:
        time.sleep(seconds)
    probes = capture.probes
    typer.echo(f"{probes.sent} probes, {probes.repeated} of them repeated, {capture.dropped} not counted")
    for source, sent in sorted(probes.by_source.items()):
        typer.echo(f"  {source:15} {sent}")
