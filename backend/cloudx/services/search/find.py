"""Find what any scan has found: the latest state of each port, or everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.sightings import FoundPage, FoundRow, Place, Query

from .take_in import TakeIn

CATCH_UP_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.02  # while another process takes in
STREAM_PAGE = 1_000


@dataclass(frozen=True)
class FindFindings:
    """Answers with all that scans which are over have found; of one that runs, a second may be missing."""

    open_ledger: OpenLedger
    take_in: TakeIn

    def page(self, query: Query, after: Place | None, limit: int) -> FoundPage:
        """At most `limit`, newest first, those behind `after`; any depth costs the same."""
        if after is None:
            self._catch_up()
        with self.open_ledger(read_only=True) as ledger:
            return ledger.sightings.page(query, after, limit)

    def stream(self, query: Query) -> Iterator[FoundRow]:
        """All of them; each page is a transaction of its own, so a slow reader holds no connection."""
        page = self.page(query, None, STREAM_PAGE)
        yield from page.rows
        while page.following is not None:
            time.sleep(0)  # SQLite does not wait on a socket, so nothing else would give way to other requests
            page = self.page(query, page.following, STREAM_PAGE)
            yield from page.rows

    def _catch_up(self) -> None:
        """Who waited for a scan to end and asks at once finds what it found: its last chunks are taken in first.

        For a second at the most; more than that is left only after an upgrade or beside very large scans.
        """
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while self._is_behind() and time.monotonic() < deadline:
            if not self.take_in(deadline):
                time.sleep(LOOK_AGAIN_SECONDS)

    def _is_behind(self) -> bool:
        with self.open_ledger(read_only=True) as ledger:
            return ledger.sightings.is_behind()
