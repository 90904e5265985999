"""Wait for the end of a scan: ask at a decent pace, and bear with an API that is away for a while."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from cloudx.domain.errors import CloudxError

from .api_client import ApiClient, ApiRefused, ApiUnreachable
from .scan_text import Scan, is_over

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 2.0
PAUSE_GROWTH = 1.05
POLL_SECONDS = 10.0  # a request that hangs longer is sent again
GIVE_UP_SECONDS = 120.0
LONGEST_RETRY_AFTER_SECONDS = 30.0


class LostSight(CloudxError):
    """The API was away for longer than we wait; the scan goes on without it."""

    code = "api_unreachable"


class Display(Protocol):
    """Shows a scan while it runs."""

    def update(self, scan: Scan) -> None:
        """Show the API's newest answer."""

    def trouble(self, message: str) -> None:
        """Show that the API does not answer at the moment."""

    def rest(self, seconds: float) -> None:
        """Wait until the next request is due."""


class Pace:
    """The pause between two requests: it grows with time, and lasts at least four times as long as an answer took."""

    def __init__(self) -> None:
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def after_answer(self, answer_seconds: float) -> float:
        """Seconds to wait after an answer that took `answer_seconds`."""
        pause = max(self._pause_seconds, min(4 * answer_seconds, LONGEST_PAUSE_SECONDS))
        self._pause_seconds = min(self._pause_seconds * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        return pause

    def after_failure(self, retry_after_seconds: float | None) -> float:
        """Seconds to wait after a request that failed."""
        return min(retry_after_seconds or LONGEST_PAUSE_SECONDS, LONGEST_RETRY_AFTER_SECONDS)


def is_temporary(error: CloudxError) -> bool:
    """True if the failure may pass by itself: no answer, too many requests, a dependency that is away."""
    return isinstance(error, ApiUnreachable) or (isinstance(error, ApiRefused) and error.is_temporary)


def follow(api: ApiClient, scan_id: str, display: Display) -> dict[str, Any]:
    """Wait for a scan to end and return it. Raises LostSight, ApiRefused, or KeyboardInterrupt (also on SIGTERM)."""
    pace, last_answer_at = Pace(), time.monotonic()
    while True:
        sent_at = time.monotonic()
        try:
            scan = api.get(f"/api/scans/{scan_id}", answer_seconds=POLL_SECONDS)
        except (ApiUnreachable, ApiRefused) as error:
            if not is_temporary(error):
                raise
            if time.monotonic() - last_answer_at > GIVE_UP_SECONDS:
                raise LostSight(f"{error.message} The scan goes on: `cloudx show {scan_id} --wait`.") from error
            display.trouble(error.message)
            display.rest(pace.after_failure(getattr(error, "retry_after_seconds", None)))
            continue
        last_answer_at = time.monotonic()
        display.update(scan)
        if is_over(scan):
            return dict(scan)
        display.rest(pace.after_answer(last_answer_at - sent_at))


@contextmanager
def interrupts_alike() -> Iterator[None]:
    """Let SIGTERM end the waiting as Ctrl-C does, so that the terminal is left in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
