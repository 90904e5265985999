"""What later scans prove closed, by the rules of a diff (domain/diff/completed.py): closed only where probed again."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from cloudx.domain.addresses import stored_key
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.diff.completed import CompletedProbes, leaves_choice, may_fold
from cloudx.domain.scans import Scan
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.ledger.sightings import ProvenSpan, Sighting

KEPT_SCANS = 32


@dataclass(frozen=True)
class KnownScans:
    """Scans as they were submitted, which never changes: one may be megabytes, so few are kept."""

    _kept: dict[str, Scan] = field(default_factory=dict)

    def get(self, ledger: Ledger, scan_id: str) -> Scan | None:
        """One scan, None where it is deleted."""
        if scan_id not in self._kept:
            record = ledger.scans.get(scan_id)
            if record is None:
                return None
            if len(self._kept) >= KEPT_SCANS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[scan_id] = record.scan
        return self._kept[scan_id]


def closed_by_chunk(
    ledger: Ledger, known: KnownScans, scan: Scan, span: ChunkSpan, standing: Sequence[Sighting]
) -> list[int]:
    """The ids of what one completed chunk of a scan, which did not find them, proves closed."""
    return [one.id for one in _not_folded(ledger, scan, [s for s in standing if _shows(ledger, known, scan, span, s)])]


def closed_by_others(ledger: Ledger, known: KnownScans, sighted: Collection[Sighting]) -> set[int]:
    """The ids of what any scan proves closed whose chunk began after it was seen."""
    if not sighted:
        return set()
    since = min(one.seen_at for one in sighted)
    closed: set[int] = set()
    for scan_id in ledger.sightings.scans_since(since):
        scan = known.get(ledger, scan_id)
        left = [one for one in sighted if one.id not in closed and one.scan_id != scan_id]
        if scan is not None and left:
            closed.update(_closed_by_scan(ledger, known, scan, left))
    return closed


def _closed_by_scan(ledger: Ledger, known: KnownScans, scan: Scan, sighted: Sequence[Sighting]) -> Iterator[int]:
    offsets = {one.id: scan.addresses.index_of_key(stored_key(one.ip)) for one in sighted}
    rows = [row for row in offsets.values() if row is not None]
    if not rows:
        return
    since = min(one.seen_at for one in sighted)
    spans = _Spans(ledger.sightings.proven(scan.id, min(rows), max(rows), since))
    standing = ledger.sightings.standing_of([one.id for one in sighted if offsets[one.id] is not None], scan.id)
    shown = [
        one
        for one in standing
        if any(
            proven.started_at > one.seen_at and _shows(ledger, known, scan, proven.span, one)
            for proven in spans.at(offsets[one.id])
        )
    ]
    yield from (one.id for one in _not_folded(ledger, scan, shown))


def _shows(ledger: Ledger, known: KnownScans, scan: Scan, span: ChunkSpan, one: Sighting) -> bool:
    """True if the chunk would have found it."""
    earlier = known.get(ledger, one.scan_id) if leaves_choice(scan) else scan
    if earlier is None:
        return False
    completed = CompletedProbes(scan, (), earlier, within=span)
    return completed.would_show(one.ip, one.protocol, one.port, one.state, host_seen=one.host_seen)


def _not_folded(ledger: Ledger, scan: Scan, shown: list[Sighting]) -> list[Sighting]:
    """Without the hosts that answered on every port: of those there is one finding for all."""
    if not shown or not may_fold(scan):
        return shown
    ips = sorted((one.ip for one in shown), key=stored_key)
    folded = ledger.diffs.folded(scan.id, ips[0], ips[-1])
    return [one for one in shown if ipaddress.ip_address(one.ip) not in folded] if folded else shown


class _Spans:
    """Chunks of one scan, by their addresses; they do not overlap."""

    def __init__(self, spans: Sequence[ProvenSpan]) -> None:
        self._spans = spans
        self._starts = [proven.span.address_start for proven in spans]
        self._widest = max((proven.span.address_count for proven in spans), default=0)

    def at(self, row: int | None) -> Iterator[ProvenSpan]:
        """Those that have the address."""
        if row is None:
            return
        for place in range(bisect_right(self._starts, row) - 1, -1, -1):
            if self._starts[place] <= row - self._widest:
                return
            if row < self._starts[place] + self._spans[place].span.address_count:
                yield self._spans[place]
