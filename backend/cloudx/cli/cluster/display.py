"""Shows a rollout or a drain while it runs: a live table on a terminal, a line a change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cloudx.terminal import err, say, visible

if TYPE_CHECKING:
    from cloudx.cluster.drain import DrainProgress
    from cloudx.cluster.nomad_ports import Allocation
    from cloudx.cluster.rollout import RolloutProgress

_BAR_WIDTH = 24
_STYLES = {"running": "green", "failed": "red", "lost": "red", "pending": "yellow"}


@contextmanager
def display_of(title: str) -> Iterator[Callable[[RolloutProgress], None]]:
    """What to call with each moment of a rollout."""
    with _shown(title, rollout_line, rollout_picture) as show:
        yield show


@contextmanager
def drain_display_of(title: str) -> Iterator[Callable[[DrainProgress], None]]:
    """What to call with each moment of a drain."""
    with _shown(title, drain_line, drain_picture) as show:
        yield show


@contextmanager
def _shown(
    title: str, line_of: Callable[[Any], str], picture_of: Callable[[Any], RenderableType]
) -> Iterator[Callable[[Any], None]]:
    if not sys.stderr.isatty() or err().is_dumb_terminal:
        yield _Lines(line_of)
        return
    spinner = Spinner("dots", Text(f" {visible(title, 40)}"))
    with Live(spinner, console=err(), transient=True, refresh_per_second=8) as live:
        yield lambda moment: live.update(Group(spinner, picture_of(moment)))


class _Lines:
    """One plain line whenever it differs from the last."""

    def __init__(self, line_of: Callable[[Any], str]) -> None:
        self._line_of = line_of
        self._last = ""

    def __call__(self, moment: Any) -> None:
        """Say it if it is new."""
        line = self._line_of(moment)
        if line != self._last:
            self._last = line
            say(line)


def rollout_line(progress: RolloutProgress) -> str:
    """A moment as one line."""
    start = f"{progress.submitted.job_id} version {progress.submitted.version}: "
    if progress.trouble:
        return start + f"{progress.trouble} Trying again."
    deployment = progress.deployment
    groups = deployment.groups if deployment else ()
    parts = [f"{g.name} {g.healthy}/{g.desired} healthy" for g in groups]
    parts += [f"not placed: {group.group}: {group.reason}" for group in progress.unplaced]
    if not groups:
        parts.append(f"{sum(allocation.status == 'running' for allocation in progress.allocations)} running")
    return start + (f"{deployment.status}, " if deployment else "") + ", ".join(parts)


def rollout_picture(progress: RolloutProgress) -> RenderableType:
    """A moment as a picture: a bar a group, a row an instance, what fails below."""
    parts: list[RenderableType] = []
    if progress.deployment:
        parts.append(_groups(progress))
        parts.append(Text(f"  {visible(progress.deployment.description)}", style="dim"))
    rows = Table.grid(padding=(0, 2))
    for allocation in progress.allocations:
        rows.add_row(
            "  " + allocation.id[:8],
            visible(allocation.node_name, 30),
            _state(allocation),
            Text(_last_event(allocation), style="dim"),
        )
    parts.append(rows)
    parts += [
        Text(f"  not placed: {failed.group}: {visible(failed.reason)}", style="yellow") for failed in progress.unplaced
    ]
    parts += [Text(f"  {check.name}: {visible(check.output)}", style="red") for check in progress.failing]
    if progress.trouble:
        parts.append(Text(f"  {visible(progress.trouble)} Trying again.", style="yellow"))
    return Group(*parts)


def _groups(progress: RolloutProgress) -> Table:
    rows = Table.grid(padding=(0, 2))
    for group in progress.deployment.groups if progress.deployment else ():
        bar = ProgressBar(total=max(1, group.desired), completed=group.healthy, width=_BAR_WIDTH)
        canary = "canary promoted" if group.is_promoted else f"{group.canaries} canary" if group.canaries else ""
        unhealthy = f", {group.unhealthy} unhealthy" if group.unhealthy else ""
        rows.add_row(f"  {visible(group.name)}", bar, f"{group.healthy}/{group.desired} healthy{unhealthy}", canary)
    return rows


def _state(allocation: Allocation) -> Text:
    healthy = {True: "healthy", False: "unhealthy", None: ""}[allocation.healthy]
    return Text(
        f"{allocation.status} {healthy}".rstrip(),
        style="red" if allocation.is_ill else _STYLES.get(allocation.status, ""),
    )


def _last_event(allocation: Allocation) -> str:
    events = [
        event for task in allocation.tasks for event in task.events[-1:] if task.state != "dead" or task.has_failed
    ]
    return visible(events[-1], 80) if events else ""


def drain_line(progress: DrainProgress) -> str:
    """A moment as allocation line."""
    done = progress.total - len(progress.left)
    return f"{progress.machine.name}: {done} of {progress.total} instances have left"


def drain_picture(progress: DrainProgress) -> RenderableType:
    """A moment as a picture."""
    bar = ProgressBar(total=max(1, progress.total), completed=progress.total - len(progress.left), width=_BAR_WIDTH)
    head = Table.grid(padding=(0, 2))
    head.add_row("  ", bar, drain_line(progress))
    rows = Table.grid(padding=(0, 2))
    for allocation in progress.left:
        rows.add_row(
            "  " + allocation.id[:8],
            visible(allocation.job_id, 40),
            _state(allocation),
            Text(_last_event(allocation), style="dim"),
        )
    return Group(head, rows)
