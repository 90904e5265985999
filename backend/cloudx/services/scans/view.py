"""What people see of scans: status, progress, coverage, workers, time left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Generic, TypeVar

from cloudx.domain.coverage import Coverage, progress_percent
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.timing.holds import why_held
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import AttemptRecord, ChunkRecord, ScanSummary, ShownScan, Tally, WorkerShare

from .control import scan_not_found
from .waiting import why_waiting

PROOF_PAGE = 500
SHOWN_WARNINGS = 10


Shown = TypeVar("Shown", Scan, ScanSummary)


@dataclass(frozen=True)
class ScanView(Generic[Shown]):
    """One scan as people see it, alone or in a list; `progress` in percent."""

    scan: Shown
    tally: Tally
    coverage: Coverage
    progress: float
    eta_seconds: int | None
    workers: tuple[WorkerShare, ...] = ()
    waiting_reason: str | None = None  # why it does not go faster, while it does not
    packets_sent: int | None = None  # that the kernel counted, over all tries
    warnings: tuple[str, ...] = ()  # what was not probed although the scan went on, and why


def coverage_of(scan: ShownScan, tally: Tally) -> Coverage:
    """The scan's coverage from its counters."""
    excluded = scan.excluded_addresses * scan.units_per_address + tally.excluded_units
    settled = tally.completed_units + tally.failed_units + excluded
    planned = scan.planned_units
    remaining = planned - settled
    not_reached = remaining if scan.status.is_final else 0
    return Coverage(planned, tally.completed_units, excluded, tally.failed_units, remaining, not_reached)


def view_of(scan: Shown, tally: Tally, now: datetime, workers: tuple[WorkerShare, ...] = ()) -> ScanView[Shown]:
    """The view of a scan at a moment of the ledger's clock."""
    coverage = coverage_of(scan, tally)
    progress = progress_percent(coverage, tally.in_flight_units)
    if scan.status is ScanStatus.COMPLETED:
        progress = 100.0
    eta_seconds = _eta_seconds(scan, tally, coverage, now)
    reason = None if scan.status.is_final else why_held(scan.hold, now) or scan.waiting_reason
    return ScanView(scan, tally, coverage, progress, eta_seconds, workers, reason)


def _eta_seconds(scan: ShownScan, tally: Tally, coverage: Coverage, now: datetime) -> int | None:
    """Seconds left if the rest goes as the scan went so far; None before anything was sent, and while it is held."""
    if scan.status is not ScanStatus.RUNNING or scan.started_at is None or scan.hold.is_held(now):
        return None
    probed = coverage.completed + tally.in_flight_units
    elapsed_seconds = scan.hold.running_seconds(scan.started_at, now)
    if probed < 1 or elapsed_seconds <= 0:
        return None
    return int((coverage.remaining - tally.in_flight_units) * elapsed_seconds / probed) + 1


def get_scan(open_ledger: OpenLedger, scan_id: str) -> ScanView[Scan]:
    """One scan with its workers. Raises NotFound."""
    with open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
        if record is None:
            raise scan_not_found(scan_id)
        now = ledger.now()
        view = view_of(record.scan, record.tally, now, tuple(ledger.chunks.shares(scan_id)))
        if record.scan.timeout_seconds is not None:
            not_reached = view.coverage.not_reached + ledger.chunks.not_reached(scan_id)
            view = replace(view, coverage=replace(view.coverage, not_reached=not_reached))
        reason = view.waiting_reason or why_waiting(ledger, record, now)
        packets_sent = ledger.chunks.packets_sent(scan_id)
        return replace(view, waiting_reason=reason, packets_sent=packets_sent, warnings=_warnings(ledger, view))


def is_over(open_ledger: OpenLedger, scan_id: str) -> bool:
    """True once a scan has ended, or is deleted."""
    with open_ledger(read_only=True) as ledger:
        summary = ledger.scans.summary(scan_id)
    return summary is None or summary.status.is_final


def _warnings(ledger: Ledger, view: ScanView[Scan]) -> tuple[str, ...]:
    """What the submit said, and one sentence for each reason why a part was not probed, up to SHOWN_WARNINGS."""
    unit = "host" if view.scan.counts_hosts else "probe"
    parts = ledger.chunks.unprobed(view.scan.id, SHOWN_WARNINGS)
    failed = tuple(f"{units:,} {unit}{'' if units == 1 else 's'} failed: {reason}" for units, reason in parts)
    if view.scan.status is not ScanStatus.COMPLETED or not failed:
        return (*view.scan.warnings, *failed)
    coverage = view.coverage
    in_part = f"Completed in part: {coverage.failed:,} of {coverage.planned:,} {unit}s failed."
    return (*view.scan.warnings, in_part, *failed)


@dataclass(frozen=True)
class ScanPage:
    """A page of scans, how many all pages have, and the `before_id` of the next page (None at the end)."""

    views: tuple[ScanView[ScanSummary], ...]
    total: int
    next_before_id: str | None


def list_scans(
    open_ledger: OpenLedger, *, limit: int, before_id: str | None, status: ScanStatus | None, tool: str | None
) -> ScanPage:
    """At most `limit` scans, newest first; `before_id` is the last id of the page before."""
    with open_ledger(read_only=True) as ledger:
        now = ledger.now()
        records = ledger.scans.page(limit=limit + 1, before_id=before_id, status=status, tool=tool)
        total = ledger.scans.count(status=status, tool=tool)
    views = tuple(view_of(record.scan, record.tally, now) for record in records[:limit])
    return ScanPage(views, total, views[-1].scan.id if len(records) > limit else None)


@dataclass(frozen=True)
class ChunkProof:
    """One chunk's part of the proof: what it covers and every try at it."""

    record: ChunkRecord
    attempts: tuple[AttemptRecord, ...]


def prove_coverage(open_ledger: OpenLedger, scan_id: str) -> tuple[ScanView[Scan], Iterator[ChunkProof]]:
    """The scan, and a stream of its chunks with their attempts, read page by page. Raises NotFound."""
    view = get_scan(open_ledger, scan_id)
    return view, _proofs(open_ledger, scan_id)


def _proofs(open_ledger: OpenLedger, scan_id: str) -> Iterator[ChunkProof]:
    after = -1
    while True:
        with open_ledger(read_only=True) as ledger:
            records = ledger.chunks.records(scan_id, after, PROOF_PAGE)
            if not records:
                return
            after = records[-1].span.number
            tries = ledger.chunks.attempts(scan_id, records[0].span.number, after)
        by_chunk = {number: tuple(group) for number, group in groupby(tries, key=lambda a: a.number)}
        for record in records:
            yield ChunkProof(record, by_chunk.get(record.span.number, ()))
