"""Keep the hours of open scans in their rows: claims and renewals go by those."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from cloudx.services.access.policy import PolicyCache, ScanPolicy
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import OpenHold
from cloudx.services.scans.hours import held_by_hours

LOOK_SECONDS = 1.0  # between two looks of a process


@dataclass
class KeepHours:
    """Gives each open scan its next opening when the last one is over or a scope has changed; any process may.

    A scan stops by itself at the end of its opening, whoever looks: its row says when.
    """

    open_ledger: OpenLedger
    policies: PolicyCache
    _known: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)  # policy version, when to look again
    _looked_at: datetime | None = None

    def __call__(self) -> int:
        """Look once; returns how many scans have got other hours."""
        with self.open_ledger(read_only=True) as ledger:
            version, now = ledger.policies.version(), ledger.now()
            policy = self.policies.current(ledger.policies)
            has_hours = any(scope.allowed_hours for scope in policy.scopes)
            scans = ledger.scans.open_holds(only_with_hours=not has_hours)
        self._known = {one.scan_id: self._known[one.scan_id] for one in scans if one.scan_id in self._known}
        changed = [one.scan_id for one in scans if self._is_due(one, version, now) and self._keep(one, policy)]
        for one in scans:
            self._known[one.scan_id] = (version, _next_look(one, policy, now))
        self._wake(scans, now)
        return len(changed)

    def _is_due(self, one: OpenHold, version: int, now: datetime) -> bool:
        known_version, again_at = self._known.get(one.scan_id, (-1, None))
        return known_version != version or (again_at is not None and again_at <= now)

    def _keep(self, one: OpenHold, policy: ScanPolicy) -> bool:
        with self.open_ledger() as ledger:
            scan = ledger.scans.lock(one.scan_id)
            if scan is None or scan.status.is_final:
                return False
            hold = held_by_hours(scan, policy.scopes, ledger.now())
            if hold is scan.hold:
                return False
            ledger.scans.save_hold(replace(scan, hold=hold))
            ledger.dispatches.notify()
            ledger.commit()
            return True

    def _wake(self, scans: list[OpenHold], now: datetime) -> None:
        """Call workers, and the process that dispatches, to scans whose hours have opened since the last look."""
        since, self._looked_at = self._looked_at, now
        opened = (one.hold.opens_at for one in scans if not one.hold.is_paused and one.hold.opens_at is not None)
        if since is not None and any(since < opens_at <= now for opens_at in opened):
            with self.open_ledger() as ledger:
                ledger.dispatches.notify()
                ledger.commit()


def _next_look(one: OpenHold, policy: ScanPolicy, now: datetime) -> datetime | None:
    """When its opening is over, or a scope that may limit it expires; None where neither comes."""
    ends = [scope.expires_at for scope in policy.scopes if scope.expires_at is not None and scope.expires_at > now]
    return min([*ends, *([one.hold.closes_at] if one.hold.closes_at is not None else [])], default=None)
