"""Takes what completed chunks found, and what they prove closed, into the search over all scans (ADR 0036).

Beside the work: no claim and no commit waits for it. Every step is small, and whatever dies between two of them, the
next round does over: a chunk is taken in once it is marked, and to take it in again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cloudx.domain.addresses import AddressSet, from_key
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import FindingKey
from cloudx.services.ledger.sightings import FreshChunk, Sighting, Stretch

from .closing import KnownScans, closed_by_chunk, closed_by_others

TAKE_IN_SECONDS = 0.5  # between two rounds of a process
CHUNKS_AT_ONCE = 100
WINDOW_ROWS = 500  # of a transaction: on SQLite every other writer waits for it
EVERY_PORT = (0, 65535)


class _Taken(Exception):
    """Another process takes in: it goes on from here."""


@dataclass(frozen=True)
class TakeIn:
    """Takes in all that is there; one process at a time does."""

    open_ledger: OpenLedger
    window_rows: int = WINDOW_ROWS
    _known: KnownScans = field(default_factory=KnownScans)

    def __call__(self, deadline: float = float("inf")) -> bool:
        """One round, until a moment of the monotonic clock; True if nothing is left. Raises DependencyUnavailable."""
        try:
            while time.monotonic() < deadline:
                if not self._take_some() and not self._judge_one():
                    return True
        except _Taken:
            pass
        return False

    def _take_some(self) -> int:
        with self.open_ledger(read_only=True) as ledger:
            fresh = ledger.sightings.fresh(CHUNKS_AT_ONCE)
        for chunk in fresh:
            self._take(chunk)
        if fresh:
            self._write(lambda ledger: ledger.sightings.mark(fresh))
        return len(fresh)

    def _take(self, chunk: FreshChunk) -> None:
        with self.open_ledger(read_only=True) as ledger:
            scan = self._known.get(ledger, chunk.scan_id)
        if scan is None:
            return
        if scan.follows is None:
            stretch = _stretch_of(scan, chunk.span)
        else:
            chunk, stretch = self._of_second_stage(chunk, scan.follows)
        after: FindingKey | None = None
        while (to := self._next_window(chunk, stretch, after)) is not None:
            self._add(chunk, stretch, after, to)
            after = to
        if chunk.is_proven:
            self._close(chunk, scan, stretch)

    def _of_second_stage(self, chunk: FreshChunk, first_id: str) -> tuple[FreshChunk, Stretch]:
        """Its findings are the first's, whose chunks prove what is closed (ADR 0038)."""
        with self.open_ledger(read_only=True) as ledger:
            part = ledger.stages.part_of(chunk.scan_id, chunk.span)
        return replace(chunk, scan_id=first_id, is_proven=False, replaces=True), _stretch(part.addresses, part.ports)

    def _next_window(self, chunk: FreshChunk, stretch: Stretch, after: FindingKey | None) -> FindingKey | None:
        with self.open_ledger(read_only=True) as ledger:
            return ledger.sightings.window(chunk.scan_id, stretch, after, self.window_rows)

    def _add(self, chunk: FreshChunk, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        """What comes late, and was proven closed meanwhile, is so in the same transaction."""

        def add(ledger: Ledger) -> None:
            if chunk.replaces:
                ledger.sightings.forget_replaced(chunk.scan_id, stretch, after, to)
            ledger.sightings.add(chunk, stretch, after, to)
            if chunk.replaces:
                ledger.sightings.shut_found_closed(chunk.scan_id, stretch, after, to)
            if set(ledger.sightings.scans_since(chunk.started_at)) <= {chunk.scan_id}:
                return  # as mostly: no other scan can have closed any of it
            latest = ledger.sightings.latest_of(chunk.scan_id, stretch, after, to)
            if closed := closed_by_others(ledger, self._known, latest):
                ledger.sightings.shut(closed)

        self._write(add)

    def _close(self, chunk: FreshChunk, scan: Scan, stretch: Stretch) -> None:
        after: FindingKey | None = None
        while True:
            with self.open_ledger(read_only=True) as ledger:
                standing = ledger.sightings.standing(scan.id, stretch, chunk.started_at, after, self.window_rows)
                closed = closed_by_chunk(ledger, self._known, scan, chunk.span, standing)
            if closed:
                self._write(lambda ledger, ids=closed: ledger.sightings.shut(ids))  # type: ignore[misc]
            if len(standing) < self.window_rows:
                return
            after = standing[-1].key

    def _judge_one(self) -> bool:
        """What a deleted scan had found last, or proven closed, is as the scans that are left have it."""
        with self.open_ledger(read_only=True) as ledger:
            deleted = ledger.sightings.deleted()
        if deleted is None:
            return False
        scan_id, addresses = deleted
        self._judge(addresses)
        self._write(lambda ledger: ledger.sightings.judged(scan_id))
        return True

    def _judge(self, addresses: AddressSet) -> None:
        for first, last in addresses.ranges:
            after: FindingKey | None = None
            while undecided := self._judge_window(str(from_key(first)), str(from_key(last)), after):
                after = undecided[-1].key

    def _judge_window(self, first_ip: str, last_ip: str, after: FindingKey | None) -> list[Sighting]:
        with self.open_ledger(read_only=True) as ledger:
            undecided = ledger.sightings.undecided(first_ip, last_ip, after, self.window_rows)
            closed = closed_by_others(ledger, self._known, undecided)
        if latest := [one.id for one in undecided if one.id not in closed]:
            self._write(lambda ledger: ledger.sightings.promote(latest))
        return undecided

    def _write(self, write: Callable[[Ledger], None]) -> None:
        with self.open_ledger() as ledger:
            if not ledger.sightings.begin():
                raise _Taken
            write(ledger)
            ledger.commit()


def _stretch_of(scan: Scan, span: ChunkSpan) -> Stretch:
    """A chunk's addresses and ports follow each other in its scan's, so the ends tell them from all others of it."""
    return _stretch(span.addresses_of(scan), None if scan.type.counts_hosts else span.ports_of(scan))


def _stretch(addresses: AddressSet, ports: PortSet | None) -> Stretch:
    first, last = (str(from_key(key)) for key in (addresses.ranges[0][0], addresses.ranges[-1][1]))
    low, high = (ports.ranges[0][0], ports.ranges[-1][1]) if ports is not None and ports.ranges else EVERY_PORT
    return Stretch(first, last, low, high)
