"""The `results` of the scans in an answer, within the bounds of one answer: newest first, what is past them is cut."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.results.document import ResultsDocument
from cloudx.services.results.keep import build_results, keep_results, read_results
from cloudx.services.scans.view import ScanView

MAX_BYTES = 8 << 20  # of all documents in one answer
MAX_BUILDS = 50
MAX_BUILT_BYTES = 2 << 20  # about one scan of the most rows that are shown; it takes a quarter of a second
MEMORY_BYTES = 16 << 20

NONE_YET = ResultsDocument(None)
LEFT_OUT = ResultsDocument(None, truncated=True)
Views = Sequence[ScanView[Any]]
_Key = tuple[object, ...]


@dataclass
class _RecentDocuments:
    """What was shown lately, by scan and how far it was: a scan's results change only when a chunk settles."""

    _known: OrderedDict[_Key, ResultsDocument] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def get(self, key: _Key) -> ResultsDocument | None:
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    def put(self, key: _Key, results: ResultsDocument) -> None:
        if key in self._known:
            return
        self._known[key] = results
        self._bytes += results.size
        while self._bytes > MEMORY_BYTES:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= dropped.size


@dataclass
class _Room:
    """What one answer may still hold, and what may still be built for it."""

    bytes_left: int
    builds_left: int
    built_bytes_left: int
    is_full: bool = False  # the oldest are cut first: behind one that found no room, none is shown

    def takes(self, size: int) -> bool:
        """Give a document its room, if there is any."""
        if size > MAX_BYTES:
            return False  # it fits into no answer, and takes no other's place
        self.is_full = self.is_full or size > self.bytes_left
        self.bytes_left -= 0 if self.is_full else size
        return not self.is_full

    def may_build(self) -> bool:
        """True while one more may be built."""
        return self.builds_left > 0 and self.built_bytes_left > 0


@dataclass(frozen=True)
class EmbedResults:
    """Gives each scan of an answer its results: from memory, from the ledger, or built."""

    open_ledger: OpenLedger
    _recent: _RecentDocuments = field(default_factory=_RecentDocuments)

    def __call__(self, views: Views) -> list[ResultsDocument]:
        """One for each scan, in order; what is past the bounds of one answer is left to the results URL."""
        sizes, room = self._kept_sizes(views), _Room(MAX_BYTES, MAX_BUILDS, MAX_BUILT_BYTES)
        chosen: dict[str, ResultsDocument] = {}
        for view in views:
            kept_size = sizes.get(view.scan.id)
            if kept_size is None:
                chosen[view.scan.id] = self._made(view, room)
            elif room.is_full or not room.takes(kept_size):
                chosen[view.scan.id] = LEFT_OUT
        kept = self._read([view for view in views if view.scan.id not in chosen])
        return [chosen.get(view.scan.id) or kept.get(view.scan.id, LEFT_OUT) for view in views]

    def _kept_sizes(self, views: Views) -> dict[str, int]:
        """The bytes of the documents that the ledger keeps and the memory does not have."""
        unknown = [view.scan.id for view in views if _is_settled(view) and self._recent.get(_key(view)) is None]
        if not unknown:
            return {}
        with self.open_ledger(read_only=True) as ledger:
            return ledger.scans.results_sizes(unknown)

    def _read(self, views: Views) -> dict[str, ResultsDocument]:
        if not views:
            return {}
        with self.open_ledger(read_only=True) as ledger:
            read = read_results(ledger, [view.scan.id for view in views])
        for view in reversed(views):  # the newest is forgotten last
            if view.scan.id in read:
                self._recent.put(_key(view), read[view.scan.id])
        return read

    def _made(self, view: ScanView[Any], room: _Room) -> ResultsDocument:
        """From memory, or built within the room."""
        if view.scan.status is ScanStatus.SUBMITTED:
            return NONE_YET
        results = None if room.is_full else self._recent.get(_key(view)) or self._built(view, room)
        return results if results is not None and room.takes(results.size) else LEFT_OUT

    def _built(self, view: ScanView[Any], room: _Room) -> ResultsDocument | None:
        if not room.may_build():
            return None
        results = build_results(self.open_ledger, view.scan, view.scan.status.is_final)
        room.builds_left -= 1
        room.built_bytes_left -= results.size
        if _is_settled(view):  # finished by a version that kept none, or by a worker that died
            keep_results(self.open_ledger, view.scan.id, results)
        self._recent.put(_key(view), results)
        return results


def _is_settled(view: ScanView[Any]) -> bool:
    """True when nothing can be added to what was found."""
    return bool(view.scan.status.is_final and view.tally.chunks_leased == 0)


def _key(view: ScanView[Any]) -> _Key:
    tally = view.tally
    return view.scan.id, view.scan.status, tally.chunks_done, tally.chunks_failed, tally.chunks_leased
