"""While a scanner waits for late replies, its threads that have nothing to do look at the clock less often."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cloudx.domain.proof.tries import REPLY_WAIT_SECONDS
from cloudx.domain.tools import Tool

# masscan's sender wakes thousands of times a second for as long as it waits (findings/masscan-is-as-busy-…).
_SLACK_NANOSECONDS = 1_000_000
_USUAL_SLACK_NANOSECONDS = 50_000  # of any thread of ordinary priority
# It looks once in 1,000 of these sleeps whether the wait is over, so it has them short again before that.
_EARLY_SECONDS = 0.75
_SLEEPS_BY_THE_CLOCK = "hrtimer_nanosleep"  # proc(5), wchan: the receiver sleeps in poll and keeps its priority


class ReplyWait:
    """The wait of one run of a scanner."""

    def __init__(self, tool: Tool, pid: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = REPLY_WAIT_SECONDS.get(tool, 0.0)
        self._pid = pid
        self._clock = clock
        self._began_at: float | None = None

    def goes_on(self) -> None:
        """Everything is sent, and the scanner has just shown that it waits; to be called each time that it does."""
        self._began_at = self._began_at or self._clock()
        is_early = self._clock() < self._began_at + self._seconds - _EARLY_SECONDS
        slack = _SLACK_NANOSECONDS if is_early else _USUAL_SLACK_NANOSECONDS
        with contextlib.suppress(OSError):  # another user's process, or it has ended
            for thread in _sleepers(self._pid):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))  # a real-time thread has no slack
                Path(f"/proc/{thread}/timerslack_ns").write_text(str(slack), encoding="ascii")


def _sleepers(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "wchan").read_text(encoding="ascii") == _SLEEPS_BY_THE_CLOCK:
            yield int(task.name)
