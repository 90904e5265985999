"""The `results` of scans as the frontend reads them, built once and within bounds for each request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import ScanRecord
from cloudx.services.scans.results import inline_results
from cloudx.services.scans.view import ScanView

MAX_BUILDS = 5  # a build reads up to 20,000 rows
MAX_BYTES = 8 << 20
MEMORY_BYTES = 16 << 20
_TRUNCATED = b'{"truncated":true,"document":'  # how a stored document begins; it stays JSON
_WHOLE = b'{"truncated":false,"document":'


@dataclass(frozen=True)
class EmbeddedResults:
    """A document as JSON, or None while there is none (or no room for it); `truncated`: more is at the results URL."""

    document: bytes | None
    truncated: bool = False

    def stored(self) -> bytes:
        """The form it is kept in."""
        return (_TRUNCATED if self.truncated else _WHOLE) + (self.document or b"null") + b"}"

    @classmethod
    def of_stored(cls, stored: bytes) -> EmbeddedResults:
        """The inverse of `stored`."""
        truncated = stored.startswith(_TRUNCATED)
        document = stored[len(_TRUNCATED if truncated else _WHOLE) : -1]
        return cls(None if document == b"null" else document, truncated)


LEFT_OUT = EmbeddedResults(None, truncated=True)


@dataclass
class _RecentDocuments:
    """What was shown lately, by scan and how far it was; a scan's results change only when a chunk settles."""

    _known: OrderedDict[tuple[object, ...], EmbeddedResults] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, key: tuple[object, ...]) -> EmbeddedResults | None:
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: tuple[object, ...], results: EmbeddedResults) -> None:
        if key in self._known:
            return
        self._known[key] = results
        self._bytes += len(results.document or b"")
        while self._bytes > MEMORY_BYTES:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= len(dropped.document or b"")


@dataclass(frozen=True)
class EmbedResults:
    """The use case with what it needs."""

    open_ledger: OpenLedger
    encode: Callable[[Any], bytes]
    _recent: _RecentDocuments = field(default_factory=_RecentDocuments)

    def __call__(self, views: Iterable[ScanView]) -> list[EmbeddedResults]:
        """One for each scan, in order; what is past the bounds of one request is left to the results URL."""
        builds, room = MAX_BUILDS, MAX_BYTES
        shown: list[EmbeddedResults] = []
        for view in views:
            results, built = self._of(view, may_build=builds > 0)
            builds -= built
            if len(results.document or b"") > room:
                results = LEFT_OUT
            room -= len(results.document or b"")
            shown.append(results)
        return shown

    def _of(self, view: ScanView, may_build: bool) -> tuple[EmbeddedResults, bool]:
        """The results, and whether they had to be built."""
        if view.scan.status is ScanStatus.SUBMITTED:
            return EmbeddedResults(None), False
        key = (
            view.scan.id,
            view.scan.status,
            view.tally.chunks_done,
            view.tally.chunks_failed,
            view.tally.chunks_leased,
        )
        known = self._recent.get(key)
        if known is not None:
            return known, False
        is_settled = view.scan.status.is_final and view.tally.chunks_leased == 0
        with self.open_ledger(read_only=True) as ledger:
            stored = ledger.scans.cached_results(view.scan.id) if is_settled else None
            if stored is None and not may_build:
                return LEFT_OUT, False
            results = EmbeddedResults.of_stored(stored) if stored else self._build(ledger, view)
        if is_settled and stored is None:
            self._keep(view.scan.id, results)
        self._recent.put(key, results)
        return results, stored is None

    def _build(self, ledger: Ledger, view: ScanView) -> EmbeddedResults:
        found = inline_results(ledger, ScanRecord(view.scan, view.tally))
        return EmbeddedResults(self.encode(found.document), found.truncated) if found else EmbeddedResults(None)

    def _keep(self, scan_id: str, results: EmbeddedResults) -> None:
        # A cache: when the database is busy or another process was first, nothing is lost.
        with suppress(DependencyUnavailable, Conflict), self.open_ledger() as ledger:
            if ledger.scans.lock(scan_id) is not None:
                ledger.scans.cache_results(scan_id, results.stored())
                ledger.commit()
