"""The `results` of scans as JSON, built once for all processes and within the bounds of one request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.results import keep_document, read_inline, recall_document
from cloudx.services.scans.view import ScanView

from .json_codec import encode
from .present_results import show_results

MAX_BUILDS = 5  # a build reads up to 20,000 rows
MAX_BYTES = 8 << 20
MEMORY_BYTES = 16 << 20
_TRUNCATED = b'{"truncated":true,"document":'  # how a stored document begins; it stays JSON
_WHOLE = b'{"truncated":false,"document":'


@dataclass(frozen=True)
class EmbeddedResults:
    """A document as JSON, or None while there is none or no room for it; `truncated`: more is at the results URL."""

    document: bytes | None
    truncated: bool = False

    def stored(self) -> bytes:
        """The form in which the ledger keeps it."""
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
    """What was shown lately, by scan and how far it was: a scan's results change only when a chunk settles."""

    _known: OrderedDict[tuple[object, ...], EmbeddedResults] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, key: tuple[object, ...]) -> EmbeddedResults | None:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

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
    """Gives each scan of an answer its results, from memory, from the ledger, or built."""

    open_ledger: OpenLedger
    _recent: _RecentDocuments = field(default_factory=_RecentDocuments)

    def __call__(self, views: Iterable[ScanView]) -> list[EmbeddedResults]:
        """One for each scan, in order; what is past the bounds of one request is left to the results URL."""
        builds_left, bytes_left = MAX_BUILDS, MAX_BYTES
        embedded: list[EmbeddedResults] = []
        for view in views:
            results, was_built = self._of(view, may_build=builds_left > 0)
            builds_left -= was_built
            if len(results.document or b"") > bytes_left:
                results = LEFT_OUT
            bytes_left -= len(results.document or b"")
            embedded.append(results)
        return embedded

    def _of(self, view: ScanView, may_build: bool) -> tuple[EmbeddedResults, bool]:
        """The results, and whether they had to be built."""
        if view.scan.status is ScanStatus.SUBMITTED:
            return EmbeddedResults(None), False
        tally = view.tally
        key = (view.scan.id, view.scan.status, tally.chunks_done, tally.chunks_failed, tally.chunks_leased)
        known = self._recent.get(key)
        if known is not None:
            return known, False
        is_settled = view.scan.status.is_final and tally.chunks_leased == 0
        stored = recall_document(self.open_ledger, view.scan.id) if is_settled else None
        if stored is None and not may_build:
            return LEFT_OUT, False
        results = EmbeddedResults.of_stored(stored) if stored else self._build(view)
        if is_settled and stored is None:
            keep_document(self.open_ledger, view.scan.id, results.stored())
        self._recent.put(key, results)
        return results, stored is None

    def _build(self, view: ScanView) -> EmbeddedResults:
        findings = read_inline(self.open_ledger, view.scan)
        if findings is None:
            return EmbeddedResults(None)
        return EmbeddedResults(encode(show_results(view.scan.tool, findings)), findings.truncated)
