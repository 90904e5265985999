"""Pace claims: a worker that has its share lets the other workers of the fleet go first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cloudx.domain.tools import NMAP_RUNS_PER_NODE, Tool

# Measured in polls of an idle worker: by then each idle worker has polled, and each starting worker has arrived.
PATIENCE_AFTER_A_CLAIM = 4.0
PATIENCE_AFTER_AN_END = 1.2


class ClaimPacing:
    """Says when a worker may request another chunk.

    A scan's rate is divided by the workers that could take part. Without pacing the first worker would take every
    share, and win each back the moment its chunk ends, before another worker polls.
    """

    def __init__(self, max_idle_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`max_idle_seconds` is the polling interval of an idle worker."""
        self._idle_seconds = max_idle_seconds
        self._clock = clock
        self._slots = 0
        self._until = float("-inf")

    def must_wait(self, slots: Sequence[Tool]) -> bool:
        """True while other workers go first; `slots` are the tools of the runs that send now."""
        has_ended, self._slots = len(slots) < self._slots, len(slots)
        if not _is_a_share(slots):
            return False  # a worker without work never waits
        if has_ended:
            self._wait(PATIENCE_AFTER_AN_END)
        return self._clock() < self._until

    def claimed(self) -> None:
        """A chunk was taken."""
        self._slots += 1
        self._wait(PATIENCE_AFTER_A_CLAIM)

    def _wait(self, polls: float) -> None:
        self._until = max(self._until, self._clock() + polls * self._idle_seconds)


def _is_a_share(slots: Sequence[Tool]) -> bool:
    """nmap waits more than it sends: several runs make one share."""
    return sum(1 / NMAP_RUNS_PER_NODE if tool is Tool.NMAP else 1 for tool in slots) >= 1
