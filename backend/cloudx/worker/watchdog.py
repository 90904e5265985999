"""Ends a scanner that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from cloudx.domain.proof.tries import REPLY_WAIT_SECONDS
from cloudx.domain.tools import Tool

# masscan's receiver sleeps for ever on an interface whose link has gone; on a busy machine its end takes seconds.
GRACE_SECONDS = 30.0


class Watchdog:
    """For the length of a `with` block: calls `end` once, after `limit_seconds` or a while after the last probe."""

    def __init__(self, tool: Tool, limit_seconds: float, end: Callable[[], None]) -> None:
        self.verdict: str | None = None  # what it found, once it has called `end`
        self._tool = tool
        self._end = end
        self._timer = self._armed(limit_seconds, f"{limit_seconds:.0f} s")
        self._has_sent_all = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def sending_is_done(self) -> None:
        """From now on, only late replies are waited for."""
        wait_seconds = REPLY_WAIT_SECONDS.get(self._tool)
        if self._has_sent_all or wait_seconds is None:
            return
        self._has_sent_all = True
        self._timer.cancel()
        limit_seconds = wait_seconds + GRACE_SECONDS
        self._timer = self._armed(limit_seconds, f"{limit_seconds:.0f} s of its last probe")

    def _armed(self, seconds: float, limit: str) -> threading.Timer:
        timer = threading.Timer(seconds, self._bite, [f"{self._tool} did not end within {limit} and was killed"])
        timer.daemon = True
        timer.start()
        return timer

    def _bite(self, verdict: str) -> None:
        self.verdict = verdict
        self._end()
