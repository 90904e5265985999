"""Shows a rollout or a drain while it runs: a live table on a terminal, elsewhere a line for each change."""

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
    """Yield the function that shows a rollout's progress."""
    with _shown(title, rollout_line, rollout_picture) as show:
        yield show


@contextmanager
def drain_display_of(title: str) -> Iterator[Callable[[DrainProgress], None]]:
    """Yield the function that shows a drain's progress."""
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
        yield lambda progress: live.update(Group(spinner, picture_of(progress)))


class _Lines:
    """Prints a plain line whenever it differs from the last."""

    def __init__(self, line_of: Callable[[Any], str]) -> None:
        self._line_of = line_of
        self._last = ""

    def __call__(self, progress: Any) -> None:
        line = self._line_of(progress)
        if line != self._last:
            self._last = line
            say(line)


def rollout_line(progress: RolloutProgress) -> str:
    """The progress of a rollout on a line."""
    start = f"{progress.submitted.job_id} version {progress.submitted.version}: "
    if progress.trouble:
        return start + f"{progress.trouble} Trying again."
    deployment = progress.deployment
    groups = deployment.groups if deployment else ()
    parts = [f"{g.name} {g.healthy}/{g.desired} healthy" for g in groups]
    parts += [f"not placed: {placement.group}: {placement.reason}" for placement in progress.unplaced]
    if not groups:
        parts.append(f"{sum(allocation.status == 'running' for allocation in progress.allocations)} running")
    return start + (f"{deployment.status}, " if deployment else "") + ", ".join(parts)


def rollout_picture(progress: RolloutProgress) -> RenderableType:
    """The progress of a rollout: a bar for each group, a row for each instance, and what fails."""
    parts: list[RenderableType] = []
    if progress.deployment:
        parts.append(_groups(progress))
        parts.append(Text(f"  {visible(progress.deployment.description)}", style="dim"))
    rows = Table.grid(padding=(0, 2))
    for allocation in progress.allocations:
        rows.add_row(*_cells(allocation, visible(allocation.node_name, 30)))
    parts.append(rows)
    for placement in progress.unplaced:
        parts.append(Text(f"  not placed: {placement.group}: {visible(placement.reason)}", style="yellow"))
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


def _cells(allocation: Allocation, title: str) -> tuple[str, str, Text, Text]:
    event = Text(_last_event(allocation), style="dim")
    return "  " + allocation.id[:8], title, _state(allocation), event


def _state(allocation: Allocation) -> Text:
    healthy = {True: "healthy", False: "unhealthy", None: ""}[allocation.healthy]
    style = "red" if allocation.is_ill else _STYLES.get(allocation.status, "")
    return Text(f"{allocation.status} {healthy}".rstrip(), style=style)


def _last_event(allocation: Allocation) -> str:
    telling = [task for task in allocation.tasks if task.state != "dead" or task.has_failed]
    events = [event for task in telling for event in task.events[-1:]]
    return visible(events[-1], 80) if events else ""


def drain_line(progress: DrainProgress) -> str:
    """The progress of a drain on a line."""
    done = progress.total - len(progress.left)
    return f"{progress.machine.name}: {done} of {progress.total} instances have left"


def drain_picture(progress: DrainProgress) -> RenderableType:
    """The progress of a drain: a bar, and a row for each instance that is left."""
    bar = ProgressBar(total=max(1, progress.total), completed=progress.total - len(progress.left), width=_BAR_WIDTH)
    head = Table.grid(padding=(0, 2))
    head.add_row("  ", bar, drain_line(progress))
    rows = Table.grid(padding=(0, 2))
    for allocation in progress.left:
        rows.add_row(*_cells(allocation, visible(allocation.job_id, 40)))
    return Group(head, rows)
