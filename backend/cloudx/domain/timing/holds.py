"""What keeps an open scan from running for a while: a pause by hand, or the allowed hours of its scopes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Hold:
    """A scan's pause and its hours. Times are UTC and from the ledger's clock.

    It runs while it is not paused, from `opens_at` until `closes_at`; None leaves that side open. A moment after
    `closes_at` holds it too, so a ledger that nobody brings up to date never lets a scan run outside of its hours.
    """

    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_seconds: float = 0.0  # since its start; with those that its hours took, and will take until `opens_at`
    opens_at: datetime | None = None
    closes_at: datetime | None = None

    @property
    def is_paused(self) -> bool:
        """True while somebody has paused it."""
        return self.paused_at is not None

    def is_closed(self, at: datetime) -> bool:
        """True outside of its hours."""
        is_early = self.opens_at is not None and at < self.opens_at
        return is_early or (self.closes_at is not None and at >= self.closes_at)

    def next_opening(self, at: datetime) -> datetime | None:
        """When its hours open; None while they are open, and where nobody knows yet, or never."""
        is_known = self.opens_at is not None and at < self.opens_at and self.opens_at != self.closes_at
        return self.opens_at if is_known else None

    def is_held(self, at: datetime) -> bool:
        """True when no worker may run any of it."""
        return self.is_paused or self.is_closed(at)

    def running_seconds(self, started_at: datetime, at: datetime) -> float:
        """How long it has run since its start: the time in which it was held does not count."""
        return max(0.0, (self._ran_until(at) - started_at).total_seconds() - self.paused_seconds)

    def paused(self, by: str, at: datetime, started_at: datetime | None) -> Hold:
        """Held by somebody from now on."""
        return self._changed(at, started_at, paused_at=at, paused_by=by)

    def resumed(self, at: datetime, started_at: datetime | None) -> Hold:
        """Held by nobody any more; its hours may still hold it."""
        return self._changed(at, started_at, paused_at=None, paused_by=None)

    def within(
        self, opens_at: datetime | None, closes_at: datetime | None, at: datetime, started_at: datetime | None
    ) -> Hold:
        """With other hours from now on."""
        return self._changed(at, started_at, opens_at=opens_at, closes_at=closes_at)

    def _changed(self, at: datetime, started_at: datetime | None, **changes: Any) -> Hold:
        """The time for which it has run stays the same, whatever changes now."""
        changed = replace(self, **changes)
        if started_at is None:
            return changed
        passed_seconds = (changed._ran_until(at) - started_at).total_seconds()
        return replace(changed, paused_seconds=passed_seconds - self.running_seconds(started_at, at))

    def _ran_until(self, at: datetime) -> datetime:
        """The last moment that may count as running; while its hours are closed, the moment at which they open."""
        if self.opens_at is not None and at < self.opens_at:
            at = self.opens_at
        moments = [at, *(moment for moment in (self.closes_at, self.paused_at) if moment is not None)]
        return min(moments)


NO_HOLD = Hold()


def why_held(hold: Hold, at: datetime) -> str | None:
    """A sentence with the remedy; None where nothing holds the scan."""
    if hold.paused_at is not None:
        return f"Paused by {hold.paused_by} since {hold.paused_at:%Y-%m-%d %H:%M:%S} UTC. Resume it to let it go on."
    if hold.is_closed(at):
        opens_at = hold.next_opening(at)
        opens = f": they open {opens_at:%Y-%m-%d %H:%M} UTC" if opens_at else ""
        return f"Waits for the hours of its scopes{opens}."
    return None
