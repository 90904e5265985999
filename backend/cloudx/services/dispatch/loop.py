"""Dispatch again and again, by a thread in each API process, of which one at a time acts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError

from .ports import LeaderLock

BUSY_SECONDS = 0.25  # between looks while a scan is open
IDLE_SECONDS = 1.0  # a submit rings in any case
STRAYS_SECONDS = 30.0
RECONCILE_SECONDS = 1.0  # where every worker of a scan is dead, nobody else brings its chunks back
RETRY = Backoff(first_seconds=2 * BUSY_SECONDS, longest_seconds=10.0)  # while Nomad or the database does not answer

log = logging.getLogger(__name__)


class KeepDispatching:
    """Holds the turn as long as its process lives, looks at every ring and every so often, and outlives every error."""

    def __init__(
        self,
        dispatch: Callable[[bool], bool],
        reconcile: Callable[[], object],
        leader_lock: LeaderLock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dispatch = dispatch
        self._reconcile = reconcile
        self._leader_lock = leader_lock
        self._clock = clock
        self._failures = 0
        self._said = ""
        self._strays_due = 0.0
        self._reconcile_due = 0.0

    def start(self) -> None:
        """Begin, after the fork."""
        threading.Thread(target=self._run, name="dispatch", daemon=True).start()

    def _run(self) -> None:
        while True:
            rest_seconds = self.once()
            try:
                self._leader_lock.wait(rest_seconds)
            except Exception:  # a thread that ended with the turn in its hands would keep it from all others
                log.exception("dispatch.wait_failed")
                self._leader_lock.release()
                time.sleep(rest_seconds)

    def once(self) -> float:
        """One look, if it is this process's turn; how long to wait until the next."""
        try:
            if not self._leader_lock.acquire():
                self._strays_due = 0.0  # who comes after somebody else looks at everything
                return IDLE_SECONDS
            is_busy = self._look()
        except CloudxError as error:
            return self._failed(error.message)
        except Exception:  # the thread has to outlive a defect
            log.exception("dispatch.failed")
            return self._failed("a defect; the lines above say where")
        if self._failures:
            log.info("dispatch.works_again")
        self._failures, self._said = 0, ""
        return BUSY_SECONDS if is_busy else IDLE_SECONDS

    def _look(self) -> bool:
        now = self._clock()
        is_due = now >= self._strays_due
        is_busy = self._dispatch(is_due)
        if is_due:
            self._strays_due = now + STRAYS_SECONDS
        if is_busy and now >= self._reconcile_due:
            self._reconcile_due = now + RECONCILE_SECONDS
            self._reconcile()
        return is_busy

    def _failed(self, reason: str) -> float:
        """Twice as long each time; the same reason is logged once."""
        if reason != self._said:
            log.warning("dispatch.waits: %s", reason)
        self._said = reason
        self._failures += 1
        return RETRY.seconds_after(self._failures)
