"""Schedules: which tick is due, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cloudx.domain.access import Principal, Role

from .cron import Cron

GRACE = timedelta(seconds=60)  # a tick that nobody has served by then was missed


class Overlap(StrEnum):
    """What becomes of a tick while the scan of the run before is not over."""

    SKIP = "skip"
    QUEUE = "queue"  # it runs when that scan is over; one waits, no more


class Missed(StrEnum):
    """What becomes of a tick that was missed: nothing served schedules then."""

    SKIP = "skip"
    RUN_ONCE = "run_once"  # one run for all that were missed


class Action(StrEnum):
    """What to do about a tick."""

    RUN = "run"
    QUEUE = "queue"
    SKIP = "skip"


@dataclass(frozen=True)
class LastRun:
    """What became of the last tick, or of a run by hand; `scan_id` is None where nothing was submitted."""

    at: datetime
    outcome: str
    scan_id: str | None = None


@dataclass(frozen=True)
class Decision:
    """What to do about one tick, and why where it does not run."""

    action: Action
    tick: datetime
    words: str = ""
    was_queued: bool = False


@dataclass(frozen=True)
class Schedule:
    """A scan that is submitted again and again, as the principal who made the schedule. Times are UTC."""

    id: str
    name: str
    cron: str
    timezone: str
    scan: Mapping[str, Any]  # the body of POST /api/scans
    overlap: Overlap
    missed: Missed
    enabled: bool
    created_at: datetime
    created_by: str
    role: Role
    token_id: str | None = None
    next_at: datetime | None = None  # the next tick that nobody has served; None while it is not enabled
    queued_at: datetime | None = None  # a tick that waits for the run before
    last_scan_id: str | None = None  # the last scan that it submitted
    last_run: LastRun | None = None

    @property
    def times(self) -> Cron:
        """When it is due."""
        return Cron(self.cron, self.timezone)

    @property
    def principal(self) -> Principal:
        """As whom its scans are submitted."""
        return Principal(self.created_by, self.role, token_id=self.token_id)

    def timed_from(self, now: datetime) -> Schedule:
        """With the next tick after now; a disabled one has none, and nothing waits of it."""
        if not self.enabled:
            return replace(self, next_at=None, queued_at=None)
        return replace(self, next_at=self.times.after(now))

    def decide(self, now: datetime, *, is_running: bool) -> Decision | None:
        """What is due now; `is_running`: the last scan that it submitted is not over. None: nothing is due."""
        if not self.enabled:
            return None
        if self.queued_at is not None and not is_running:
            return Decision(Action.RUN, self.queued_at, was_queued=True)
        if self.next_at is None or self.next_at > now:
            return None
        tick = self.times.latest(self.next_at, now) or self.next_at
        if now - tick > GRACE and self.missed is Missed.SKIP:
            return Decision(Action.SKIP, tick, "missed: nothing served schedules at that time")
        return self._beside(tick) if is_running else Decision(Action.RUN, tick)

    def _beside(self, tick: datetime) -> Decision:
        """What becomes of a tick while the scan of the run before is not over."""
        if self.overlap is Overlap.SKIP:
            return Decision(Action.SKIP, tick, f"skipped: scan {self.last_scan_id} of the run before is not over")
        if self.queued_at is not None:
            return Decision(Action.SKIP, tick, f"skipped: the run of {self.queued_at:%Y-%m-%d %H:%M} UTC waits already")
        return Decision(Action.QUEUE, tick, f"queued: it waits for the end of scan {self.last_scan_id}")

    def served(self, decision: Decision, now: datetime, outcome: str, scan_id: str | None = None) -> Schedule:
        """When a decision was carried out: the tick is over, and those before it."""
        waits = decision.tick if decision.action is Action.QUEUE else self.queued_at
        return replace(
            self,
            next_at=self.next_at if decision.was_queued else self.times.after(now),
            queued_at=None if decision.was_queued else waits,
            last_scan_id=scan_id or self.last_scan_id,
            last_run=LastRun(decision.tick, outcome, scan_id),
        )
