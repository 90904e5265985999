"""Remove many rows batch after batch, so that nobody waits long for their locks."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloudx.domain.retention import FIRST_BATCH_ROWS, next_batch_rows
from cloudx.services.ledger.ledger import Ledger, OpenLedger

PAUSE_SECONDS = 0.02  # between two batches: for who waits for the same locks


class Batches:
    """Runs batch after batch, each a transaction of its own, as large as its locks may last."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self.rows_removed = 0
        self._open_ledger = open_ledger
        self._batch_rows = FIRST_BATCH_ROWS

    def run(self, remove: Callable[[Ledger, int], int]) -> None:
        """Until `remove`, which gets a number of rows and tells how many it removed, finds none."""
        while removed := self._once(remove):
            self.rows_removed += removed
            time.sleep(PAUSE_SECONDS)

    def _once(self, remove: Callable[[Ledger, int], int]) -> int:
        started = time.monotonic()
        with self._open_ledger() as ledger:
            removed = remove(ledger, self._batch_rows)
            ledger.commit()
        seconds = time.monotonic() - started
        self._batch_rows = next_batch_rows(self._batch_rows, seconds)
        return removed
