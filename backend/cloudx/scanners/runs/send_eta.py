"""Predict when a run will have sent everything, so that the next run is ready at that moment."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRUSTED_SECONDS = 0.5  # of status lines before their pace is believed: every scanner begins with a burst


class SendEta:
    """Predicts the end of sending by the granted rate, or by the observed pace if the machine is slower."""

    def __init__(self, packets: int, rate_pps: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = packets / max(1, rate_pps)  # as granted
        self._clock = clock
        self._first: tuple[float, float] | None = None  # when the first line came, and what it said

    def ends_at(self, sent_share: float) -> float:
        """The moment on the given clock at which everything is sent, if `sent_share` (0–1) is sent now."""
        now = self._clock()
        first = self._first = self._first or (now, sent_share)
        passed, sent = now - first[0], sent_share - first[1]
        seen_seconds = passed / sent if passed >= _TRUSTED_SECONDS and sent > 0 else 0.0
        return now + (1.0 - sent_share) * max(self._seconds, seen_seconds)
