"""Two scans side by side, window by window, with what the second of them proves.

Each window is a transaction of its own: a slow reader holds no connection, memory is flat, and other requests of the
process get their turn in between.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeVar

from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.diff.changes import Change, change_of
from cloudx.domain.diff.completed import CompletedProbes, may_fold
from cloudx.domain.errors import NotFound
from cloudx.domain.tools import Tool
from cloudx.services.ledger.diffs import Compared, FindingPair, FindingPairs, Gone, Window
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import FindingKey, FindingRow, ScanRecord

from .results import get_record

WINDOW_ROWS = 10_000  # of either scan: some 25 ms of a database's time
GAPS_PAGE = 50_000
_Read = TypeVar("_Read")


class DiffItem(NamedTuple):
    """One port that is not what it was; at least one of the findings is there."""

    change: Change
    key: FindingKey
    before: FindingRow | None
    after: FindingRow | None


@dataclass(frozen=True)
class DiffSummary:
    """How many ports each change has, over everything."""

    opened: int = 0
    closed: int = 0
    changed: int = 0
    unchanged: int = 0
    not_observed: int = 0

    def __add__(self, other: DiffSummary) -> DiffSummary:
        return DiffSummary(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def count_of(self, changes: Collection[Change]) -> int:
        """Of these changes together."""
        return sum(int(getattr(self, change.value)) for change in changes)


@dataclass(frozen=True)
class Comparison:
    """Two scans, opened by `compare`."""

    open_ledger: OpenLedger
    compared: Compared
    completed: CompletedProbes  # of the second scan
    may_fold: bool  # the second scan may have hosts that answered on every port
    is_settled: bool  # nothing can be added to either

    @property
    def ids(self) -> tuple[str, str]:
        """Of the first and the second scan."""
        return self.compared.before_id, self.compared.after_id

    def items(self, changes: Collection[Change], after: FindingKey | None) -> Iterator[DiffItem]:
        """Those of these changes behind a key, in the order of result pages. Raises NotFound."""
        return chain.from_iterable(self._each_window(after, partial(self._items_in, changes)))

    def summary(self) -> DiffSummary:
        """The counts over everything. Raises NotFound."""
        return sum(self._each_window(None, self._count_in), DiffSummary())

    def _each_window(self, after: FindingKey | None, read: Callable[[Ledger, Window], _Read]) -> Iterator[_Read]:
        while True:
            with self.open_ledger(read_only=True) as ledger:
                window = ledger.diffs.window(self.compared, after, WINDOW_ROWS)
                found = read(ledger, window)
                if not ledger.diffs.are_whole(self.ids):  # what is missing may have been deleted, not closed
                    raise NotFound(
                        f"Scan {' or '.join(self.ids)} was deleted meanwhile. `cloudx scans` lists the rest."
                    )
            yield found
            if window.to is None:
                return
            after = window.to
            time.sleep(0)  # SQLite does not wait on a socket, so nothing else would give way to other requests

    def _items_in(self, changes: Collection[Change], ledger: Ledger, window: Window) -> Iterator[DiffItem]:
        pairs = ledger.diffs.pairs(self.compared, window, changes)
        shut = {one[:3] for one in self._shut(ledger, pairs.gone)}
        return self._items_of(pairs, shut, changes)

    def _items_of(
        self, pairs: FindingPairs, shut: Collection[FindingKey], changes: Collection[Change]
    ) -> Iterator[DiffItem]:
        for pair in pairs:
            change = self._change_of(pair, pair.key in shut)
            if change in changes:
                yield DiffItem(change, *pair)

    def _change_of(self, pair: FindingPair, is_shut: bool = False) -> Change:
        return change_of(pair.before, pair.after, compares_versions=self.compared.versions, is_shut=is_shut)

    def _count_in(self, ledger: Ledger, window: Window) -> DiffSummary:
        count = ledger.diffs.count(self.compared, window)
        changed = count.changed
        if count.doubtful:
            pairs = ledger.diffs.pairs(self.compared, window, {Change.CHANGED})
            changed = sum(self._change_of(pair) is Change.CHANGED for pair in pairs)
        unchanged = count.changed + count.doubtful + count.unchanged - changed
        closed = len(self._shut(ledger, count.gone))
        return DiffSummary(count.opened, closed, changed, unchanged, len(count.gone) - closed)

    def _shut(self, ledger: Ledger, gone: Sequence[Gone]) -> list[Gone]:
        """Of what the second scan does not have, in order, that of which it proves that it is gone."""
        shut = [one for one in gone if self.completed.would_show(*one[:4], host_seen=one.host_seen)]
        if not shut or not self.may_fold:
            return shut
        folded = ledger.diffs.folded(self.compared.after_id, shut[0].ip, shut[-1].ip)
        return [one for one in shut if ipaddress.ip_address(one.ip) not in folded] if folded else shut


def compare(open_ledger: OpenLedger, before_id: str, after_id: str) -> Comparison:
    """The comparison of two scans. Raises NotFound."""
    before, after = get_record(open_ledger, before_id), get_record(open_ledger, after_id)
    versions = before.scan.type.asks_versions and after.scan.type.asks_versions
    compared = Compared(before.scan.id, after.scan.id, versions, hosts=after.scan.tool is Tool.NMAP)
    completed = CompletedProbes(after.scan, _gaps(open_ledger, after.scan.id), before.scan)
    is_settled = _is_settled(before) and _is_settled(after)
    return Comparison(open_ledger, compared, completed, may_fold(after.scan), is_settled)


def _gaps(open_ledger: OpenLedger, scan_id: str) -> Iterator[ChunkSpan]:
    last = -1
    while True:
        with open_ledger(read_only=True) as ledger:
            page = ledger.diffs.gaps(scan_id, last, GAPS_PAGE)
        yield from page
        if len(page) < GAPS_PAGE:
            return
        last = page[-1].number


def _is_settled(record: ScanRecord) -> bool:
    return record.scan.status.is_final and record.tally.chunks_leased == 0
