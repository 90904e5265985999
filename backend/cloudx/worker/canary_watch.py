"""Look at the canaries before each claim and while scanners run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cloudx.domain.errors import CloudxError
from cloudx.domain.nodes import Check
from cloudx.domain.proof.canaries import Canary, judge_canaries

FRESH_SECONDS = 5.0
_SIDE_BY_SIDE = 8

ReadCanaries = Callable[[], list[Canary]]
Accepts = Callable[[str, int], bool]


class CanaryWatch:
    """Calling it gives the check as it was within the last FRESH_SECONDS; any thread may."""

    def __init__(self, read_canaries: ReadCanaries, accepts: Accepts, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._read_canaries = read_canaries
        self._accepts = accepts
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._known: tuple[float, Check] | None = None
        self._named: list[Canary] = []

    def __call__(self) -> Check:
        """The last one while it is fresh, else a new look; callers that come meanwhile wait for it."""
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > self._fresh_seconds:
                self._known = (now, self._look())
            return self._known[1]

    def _look(self) -> Check:
        with contextlib.suppress(CloudxError):  # the ledger is away: those it named last are looked at on
            self._named = self._read_canaries()
        if not self._named:
            return judge_canaries([], [])
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            answers = list(pool.map(lambda canary: self._accepts(canary.target, canary.port), self._named))
        silent = [canary for canary, answer in zip(self._named, answers, strict=True) if not answer]
        return judge_canaries(self._named, silent)
