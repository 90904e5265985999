"""What happened since the last look, by what the ledger keeps of each scan: no counter falls when one is deleted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudx.services.ledger.figures import Totals
from cloudx.services.ledger.ledger import OpenLedger

TOTALS_SECONDS = 10.0  # between two looks, at least
MOST_OF_A_CORE = 0.01  # what the looks may take: at many attempts and findings they become fewer
LONGEST_SECONDS = 120.0
LATE = timedelta(seconds=60)  # an attempt may end so long after its scan


@dataclass
class CountTotals:
    """Looks while `is_mine`, and tells the listeners what has been added. Raises DependencyUnavailable.

    The first look finds where the scans stand and tells nothing: what was before this process, another one counted.
    """

    open_ledger: OpenLedger
    is_mine: Callable[[], bool]
    listeners: list[Callable[[Totals], None]] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, Totals] | None = field(default=None, init=False)
    _looked_at: datetime | None = field(default=None, init=False)
    _due: float = field(default=float("-inf"), init=False)

    def __call__(self) -> None:
        """One look, if it is due."""
        started = self.clock()
        if started < self._due or not self.is_mine():
            return
        added = self._look()
        took = self.clock() - started
        self._due = started + min(LONGEST_SECONDS, max(TOTALS_SECONDS, took / MOST_OF_A_CORE))
        for listener in self.listeners:
            listener(added)

    def _look(self) -> Totals:
        with self.open_ledger(read_only=True) as ledger:
            now = ledger.now()
            found = ledger.figures.totals((self._looked_at or now) - LATE)
        added: Totals = Counter()
        if self._known is not None:
            for scan_id, totals in found.items():
                added += totals - self._known.get(scan_id, Counter())  # of Counters: nothing below 0
        self._known, self._looked_at = found, now
        return added
