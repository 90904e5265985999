"""Remove events that no listener resumes from any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cloudx.services.batches import Batches
from cloudx.services.ledger.ledger import Ledger, OpenLedger

KEPT_SECONDS = 7_200.0  # an hour is promised; a transaction may last for minutes, and rounds are minutes apart
PRUNE_SECONDS = 300.0  # between two rounds of a process


@dataclass(frozen=True)
class PruneEvents:
    """Removes old events, in small transactions."""

    open_ledger: OpenLedger
    kept_seconds: float = KEPT_SECONDS

    def __call__(self) -> int:
        """One round; returns how many. Raises DependencyUnavailable."""
        with self.open_ledger(read_only=True) as ledger:
            before = ledger.now() - timedelta(seconds=self.kept_seconds)
        batches = Batches(self.open_ledger)
        batches.run(partial(_remove, before))
        return batches.rows_removed


def _remove(before: datetime, ledger: Ledger, rows: int) -> int:
    return ledger.events.remove_before(before, rows)
