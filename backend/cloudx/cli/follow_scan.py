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
POLL_SECONDS = 10.0  # a question that hangs longer is asked anew
GIVE_UP_SECONDS = 120.0
LONGEST_RETRY_AFTER_SECONDS = 30.0


class LostSight(CloudxError):
    """The API was away for longer than we wait; the scan itself goes on without it."""

    code = "api_unreachable"


class Display(Protocol):
    """Shows a scan while it runs."""

    def update(self, scan: Scan) -> None:
        """The API's newest word."""

    def trouble(self, message: str) -> None:
        """The API does not answer at the moment."""

    def rest(self, seconds: float) -> None:
        """Let time pass until the next question."""


class Pace:
    """How long to wait between two questions: longer as time goes by, and four times what an answer takes."""

    def __init__(self) -> None:
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def after_answer(self, answer_seconds: float) -> float:
        """Seconds to rest after an answer that took so long."""
        pause = max(self._pause_seconds, min(4 * answer_seconds, LONGEST_PAUSE_SECONDS))
        self._pause_seconds = min(self._pause_seconds * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
        return pause

    def after_failure(self, retry_after_seconds: float | None) -> float:
        """Seconds to rest after no answer."""
        return min(retry_after_seconds or LONGEST_PAUSE_SECONDS, LONGEST_RETRY_AFTER_SECONDS)


def is_temporary(error: CloudxError) -> bool:
    """True for what passes by itself: no answer, too many requests, a dependency that is away."""
    return isinstance(error, ApiUnreachable) or (isinstance(error, ApiRefused) and error.is_temporary)


def follow(api: ApiClient, scan_id: str, display: Display) -> dict[str, Any]:
    """The scan once it is over. Raises LostSight, ApiRefused, or KeyboardInterrupt for SIGTERM too."""
    pace, last_answer_at = Pace(), time.monotonic()
    while True:
        asked_at = time.monotonic()
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
        display.rest(pace.after_answer(last_answer_at - asked_at))


@contextmanager
def interrupts_alike() -> Iterator[None]:
    """SIGTERM ends the waiting as Ctrl-C does, so that the terminal is left in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
