"""What opened, closed and changed from one scan to another: in pages with a summary, or as one stream."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

from cloudx.domain.diff.changes import Change
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import FindingKey

from .comparison import Comparison, DiffItem, DiffSummary, compare

KEPT_SUMMARIES = 256


@dataclass(frozen=True)
class DiffPage:
    """One page; `following` is the `after` of the next one, None at the end."""

    before_id: str
    after_id: str
    summary: DiffSummary
    items: list[DiffItem]
    following: FindingKey | None


class SummaryCache:
    """The summaries that were counted last, of scans to which nothing can be added."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], DiffSummary] = OrderedDict()

    def get(self, ids: tuple[str, str]) -> DiffSummary | None:
        """That of two scans, if it is kept."""
        return self._kept.get(ids)

    def keep(self, ids: tuple[str, str], summary: DiffSummary) -> None:
        """Keep it in place of the oldest."""
        self._kept[ids] = summary
        while len(self._kept) > KEPT_SUMMARIES:
            self._kept.popitem(last=False)


@dataclass(frozen=True)
class PageDiff:
    """Reads one page of what changed from one scan to another, with the summary over everything."""

    open_ledger: OpenLedger
    _summaries: SummaryCache = field(default_factory=SummaryCache)

    def __call__(
        self,
        before_id: str,
        after_id: str,
        changes: Collection[Change],
        after: FindingKey | None,
        limit: int,
        known: DiffSummary | None = None,
    ) -> DiffPage:
        """At most `limit` items behind `after`; `known` is the summary that the page before had.

        A summary reads both scans whole, the items only as far as the page goes. So a page brings the summary of the
        one before along, and that of scans which are over is kept. Raises NotFound.
        """
        comparison = compare(self.open_ledger, before_id, after_id)
        summary = known or self._summary(comparison)
        items: list[DiffItem] = []
        if summary.count_of(changes) or not comparison.is_settled:
            items = list(islice(comparison.items(changes, after), limit + 1))
        following = items[limit - 1].key if len(items) > limit else None
        return DiffPage(*comparison.ids, summary, items[:limit], following)

    def _summary(self, comparison: Comparison) -> DiffSummary:
        summary = self._summaries.get(comparison.ids)
        if summary is None:
            summary = comparison.summary()
            if comparison.is_settled:
                self._summaries.keep(comparison.ids, summary)
        return summary


def stream_diff(
    open_ledger: OpenLedger, before_id: str, after_id: str, changes: Collection[Change]
) -> tuple[tuple[str, str], Iterator[DiffItem]]:
    """The ids of both scans, and every item in order. Raises NotFound, midway too where a scan is deleted."""
    comparison = compare(open_ledger, before_id, after_id)
    return comparison.ids, comparison.items(changes, None)
