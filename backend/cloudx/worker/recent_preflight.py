"""A preflight that is repeated now and then, so that a repair of the machine shows without a restart."""

from __future__ import annotations

import threading
import time

from cloudx.domain.nodes import Preflight
from cloudx.services.chunks.scanner_port import Machine

FRESH_SECONDS = 10.0  # it starts each scanner once, to ask its version


class RecentPreflight:
    """Calling it gives a preflight of the last few seconds; any thread may."""

    def __init__(self, machine: Machine, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._machine = machine
        self._fresh_seconds = fresh_seconds
        self._lock = threading.Lock()
        self._known: tuple[float, Preflight] | None = None

    def __call__(self) -> Preflight:
        """The last one while it is fresh, else a new one; callers that come meanwhile wait for it."""
        with self._lock:
            now = time.monotonic()
            if self._known is None or now - self._known[0] > self._fresh_seconds:
                self._known = (now, self._machine.preflight())
            return self._known[1]
