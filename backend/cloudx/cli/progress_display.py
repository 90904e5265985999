"""Shows a scan while it runs: a moving bar on a terminal, a line now and then elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.text import Text
from typing_extensions import override

from cloudx.terminal import err, say, visible

from .follow_scan import Display
from .scan_text import Scan, duration, is_over, progress_line, seconds_left, worker_lines
from .smooth_percent import SmoothPercent

TICK_SECONDS = 0.1
LINE_EVERY_SECONDS = 5.0
MOST_WORKERS_SHOWN = 16


@contextmanager
def display_for(title: str) -> Iterator[Display]:
    """A live bar if standard error is a terminal, else plain lines."""
    if sys.stderr.isatty() and not err().is_dumb_terminal:
        with LiveBar(title) as bar:
            yield bar
    else:
        yield ProgressLines()


class ProgressLines(Display):
    """Prints a plain line at most every LINE_EVERY_SECONDS, and at once if the API goes away."""

    def __init__(self) -> None:
        self._printed_at = -LINE_EVERY_SECONDS
        self._is_troubled = False

    @override
    def update(self, scan: Scan) -> None:
        self._is_troubled = False
        if is_over(scan):
            return
        line = f"{scan['status']} {scan['progress']:.1f} %: {progress_line(scan, scan['progress'])}"
        left_seconds = seconds_left(scan)
        if left_seconds is not None:
            line += f", about {duration(left_seconds)} left"
        self._say(line)

    @override
    def trouble(self, message: str) -> None:
        if not self._is_troubled:
            self._printed_at = -LINE_EVERY_SECONDS
        self._is_troubled = True
        self._say(f"{message} Trying again; the scan goes on.")

    @override
    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def _say(self, line: str) -> None:
        if time.monotonic() - self._printed_at >= LINE_EVERY_SECONDS:
            self._printed_at = time.monotonic()
            say(line)


class _BarWithDetails(Progress):
    """rich's progress table with lines below it."""

    details = Text()

    @override
    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield self.details


class LiveBar(Display):
    """A bar that moves between the API's answers as the scan does."""

    def __init__(self, title: str) -> None:
        self._smooth = SmoothPercent()
        self._scan: Scan | None = None
        self._updated_at = 0.0
        self._is_troubled = False
        self._bar = _BarWithDetails(
            SpinnerColumn(finished_text="•"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, complete_style="cyan", finished_style="green", pulse_style="cyan"),
            TextColumn("{task.fields[percent]}", justify="right", markup=False),
            TextColumn("{task.fields[left]}", style="dim", justify="right", markup=False),
            console=err(),
            expand=True,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task(visible(title, 40), total=None, percent="", left="")

    def __enter__(self) -> LiveBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @override
    def update(self, scan: Scan) -> None:
        self._scan, self._updated_at, self._is_troubled = scan, time.monotonic(), False
        self._smooth.observe(scan["progress"], scan.get("eta_seconds"), self._updated_at)
        self._draw()

    @override
    def trouble(self, message: str) -> None:
        """Show below the bar why it stands still."""
        self._is_troubled = True
        what = visible(message.partition(". ")[0])
        self._bar.details = Text(f"  {what}. Trying again; the scan goes on.", style="yellow")

    @override
    def rest(self, seconds: float) -> None:
        """Move the bar meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(TICK_SECONDS, left))
            self._draw()

    def _draw(self) -> None:
        if self._scan is None or self._is_troubled:
            return
        percent = self._smooth.at(time.monotonic())
        # Until the first probe there is nothing to measure: the bar pulses.
        total = None if self._scan["status"] == "submitted" else 100.0
        shown = f"{percent:5.1f} %" if total else ""
        self._bar.update(self._task, total=total, completed=percent, percent=shown, left=self._left())
        lines = [progress_line(self._scan, percent), *worker_lines(self._scan, most=self._room())]
        self._bar.details = Text("\n".join(f"  {visible(line)}" for line in lines), style="dim")

    def _room(self) -> int:
        """Lines for workers: those of the terminal, minus the bar and the lines above it."""
        return max(1, min(MOST_WORKERS_SHOWN, err().height - 4))

    def _left(self) -> str:
        left_seconds = seconds_left(self._scan) if self._scan else None
        if left_seconds is None:
            return ""
        return f"{duration(max(1.0, left_seconds - (time.monotonic() - self._updated_at)))} left"
