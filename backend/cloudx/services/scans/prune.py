"""Remove what is older than it is kept: scans that are over with all that belongs to them, and the audit trail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cloudx.domain.access import ITSELF
from cloudx.domain.retention import Retention
from cloudx.services.batches import Batches
from cloudx.services.ledger.ledger import Ledger, OpenLedger

PRUNE_SECONDS = 600.0  # between two rounds of an API process
SCANS_AT_ONCE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be."""

    scans: int = 0
    rows: int = 0
    audit_entries: int = 0


@dataclass(frozen=True)
class PruneLedger:
    """Removes what is too old, in small transactions: a round that dies is taken up by the next."""

    open_ledger: OpenLedger
    retention: Retention

    def __call__(self) -> Pruned:
        """One round over everything. Raises DependencyUnavailable."""
        batches = Batches(self.open_ledger)
        scans, audit_entries = 0, 0
        while too_old := self._scans_too_old():
            for scan_id in too_old:
                batches.run(partial(_remove_rows_of, scan_id))
                scans += self._remove_scan(scan_id)
        rows = batches.rows_removed
        if (before := self._moment(self.retention.audit_days)) is not None:
            batches.run(partial(_remove_audit_before, before))
            audit_entries = batches.rows_removed - rows
        pruned = Pruned(scans, rows, audit_entries)
        self._record(pruned)
        return pruned

    def would_remove(self) -> Pruned:
        """What a round would remove now; rows are not counted."""
        scans_before, audit_before = self._moment(self.retention.scans_days), self._moment(self.retention.audit_days)
        with self.open_ledger(read_only=True) as ledger:
            scans = ledger.old_records.count_scans_over_before(scans_before) if scans_before else 0
            audit_entries = ledger.old_records.count_audit_before(audit_before) if audit_before else 0
        return Pruned(scans, audit_entries=audit_entries)

    def _scans_too_old(self) -> list[str]:
        before = self._moment(self.retention.scans_days)
        if before is None:
            return []
        with self.open_ledger(read_only=True) as ledger:
            return ledger.old_records.scans_over_before(before, SCANS_AT_ONCE)

    def _remove_scan(self, scan_id: str) -> bool:
        with self.open_ledger() as ledger:
            is_removed = ledger.scans.delete(scan_id)
            ledger.commit()
        return is_removed

    def _record(self, pruned: Pruned) -> None:
        """In the audit trail, which would else have holes that nobody explains."""
        if pruned == Pruned():
            return
        log.info("prune.done: %s scans, %s rows, %s audit entries", *vars(pruned).values())
        with self.open_ledger() as ledger:
            ledger.audit.record(ITSELF, "prune", "old records", **vars(pruned))
            ledger.commit()

    def _moment(self, days: float | None) -> datetime | None:
        if days is None:
            return None
        with self.open_ledger(read_only=True) as ledger:
            return ledger.now() - timedelta(days=days)


def _remove_rows_of(scan_id: str, ledger: Ledger, rows: int) -> int:
    return ledger.old_records.remove_rows_of(scan_id, rows)


def _remove_audit_before(before: datetime, ledger: Ledger, rows: int) -> int:
    return ledger.old_records.remove_audit_before(before, rows)
