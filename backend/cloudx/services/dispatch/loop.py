"""Dispatch in a loop: a thread in each API process, of which the leader acts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError

from .ports import LeaderLock

BUSY_SECONDS = 0.25  # between steps while a scan is open
IDLE_SECONDS = 1.0  # a submit notifies the leader in any case
STRAYS_SECONDS = 30.0
RECONCILE_SECONDS = 1.0  # if every worker of a scan is dead, only this returns its chunks
RETRY = Backoff(first_seconds=2 * BUSY_SECONDS, longest_seconds=10.0)  # while Nomad or the database does not answer

log = logging.getLogger(__name__)


class KeepDispatching:
    """Steps on every notification and at intervals while it is the leader, and outlives every error.

    A class and not a function: it keeps what it logged and when the next sweeps are due.
    """

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
        self.is_leader = False
        self.failed_steps = 0  # since the start
        self._failures = 0
        self._logged_reason = ""
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
            except Exception:  # a thread that ended while holding the lock would block every other process
                log.exception("dispatch.wait_failed")
                self._leader_lock.release()
                time.sleep(rest_seconds)

    def once(self) -> float:
        """One step, if this process is the leader; returns the seconds to wait until the next."""
        try:
            if not self._acquire():
                self._strays_due = 0.0  # a new leader looks for strays at once
                return IDLE_SECONDS
            is_busy = self._step()
        except CloudxError as error:
            return self._failed(error.message)
        except Exception:  # the thread has to outlive a defect
            log.exception("dispatch.failed")
            return self._failed("a defect; the lines above say where")
        if self._failures:
            log.info("dispatch.works_again")
        self._failures, self._logged_reason = 0, ""
        return BUSY_SECONDS if is_busy else IDLE_SECONDS

    def _acquire(self) -> bool:
        try:
            self.is_leader = self._leader_lock.acquire()
        except CloudxError:
            self.is_leader = False
            raise
        return self.is_leader

    def _step(self) -> bool:
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
        """Back off; log a repeated reason once."""
        if reason != self._logged_reason:
            log.warning("dispatch.waits: %s", reason)
        self._logged_reason = reason
        self._failures += 1
        self.failed_steps += 1
        return RETRY.seconds_after(self._failures)
