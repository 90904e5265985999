"""Hear of new work from the primary node, so that a worker without any need not look again and again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError
from cloudx.services.chunks.work_signal import WorkNews

SHORTEST_PAUSE_SECONDS = 1.0  # between two questions that were answered with nothing new
LONGEST_REST_SECONDS = 400.0
RETRY = Backoff(first_seconds=1.0, longest_seconds=30.0)

log = structlog.get_logger()


class WorkQuestion(Protocol):
    """Asks whether there may be work."""

    def __call__(self, seen: int) -> WorkNews:
        """A number above `seen` as soon as there may be; the same number after a while. Raises CloudxError."""
        ...


class HearWork:
    """Asks without end, and says how far it may be relied on."""

    def __init__(self, question: WorkQuestion) -> None:
        self._question = question
        self._news: WorkNews | None = None  # None while it hears nothing

    def rest_seconds(self) -> float:
        """How long a worker may rest between two looks that find nothing; 0 while it hears nothing.

        The looks of a fleet are spread: nobody rests for exactly as long as the next.
        """
        longest = self._news.rest_seconds if self._news else 0.0
        return random.uniform(0.75, 1.25) * min(longest, LONGEST_REST_SECONDS)  # noqa: S311

    def run_until(self, stopping: threading.Event, call: Callable[[], None]) -> None:
        """Ask until stopped; `call` at each new number, and when it begins or ends to hear."""
        failures = 0
        while not stopping.is_set():
            known, asked_at = self._news, time.monotonic()
            try:
                self._news = self._question(known.number if known else 0)
            except CloudxError as error:
                self._news, failures = None, failures + 1
                if failures == 1:
                    log.warning("worker.hears_no_work", reason=error.message)
                    call()
                stopping.wait(RETRY.seconds_after(failures))
                continue
            failures = 0
            if known is None or self._news.number > known.number:
                call()
            else:
                stopping.wait(max(0.0, asked_at + SHORTEST_PAUSE_SECONDS - time.monotonic()))
