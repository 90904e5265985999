"""Remove deliveries that are long over; a webhook's last one stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cloudx.services.ledger.ledger import OpenLedger

KEPT = timedelta(days=7)
PRUNE_SECONDS = 3_600.0


@dataclass(frozen=True)
class PruneDeliveries:
    """Removes old deliveries."""

    open_ledger: OpenLedger

    def __call__(self) -> int:
        """One round; returns how many. Raises DependencyUnavailable."""
        with self.open_ledger() as ledger:
            keep = [last.id for last in ledger.webhooks.last_deliveries().values()]
            removed = ledger.webhooks.remove_settled_before(ledger.now() - KEPT, keep)
            ledger.commit()
        return removed
