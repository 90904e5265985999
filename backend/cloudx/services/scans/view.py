"""What people see of scans: status, progress, coverage, workers, time left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from cloudx.domain.coverage import Coverage, progress_percent
from cloudx.domain.nodes import fit_nodes
from cloudx.domain.rates.shares import why_slower
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import AttemptRecord, ChunkRecord, ScanRecord, Tally, WorkerShare

from .control import scan_not_found

PROOF_PAGE = 500
SHOWN_WARNINGS = 10


@dataclass(frozen=True)
class ScanView:
    """One scan as people see it; `progress` in percent."""

    scan: Scan
    tally: Tally
    coverage: Coverage
    progress: float
    eta_seconds: int | None
    workers: tuple[WorkerShare, ...] = ()
    waiting_reason: str | None = None  # why it does not go faster, while it does not
    packets_sent: int | None = None  # that the kernel counted, over all tries
    warnings: tuple[str, ...] = ()  # what was not probed although the scan went on, and why


def coverage_of(record: ScanRecord) -> Coverage:
    """The scan's coverage from its counters."""
    scan, tally = record.scan, record.tally
    excluded = scan.excluded_addresses * scan.units_per_address + tally.excluded_units
    settled = tally.completed_units + tally.failed_units + excluded
    planned = scan.planned_units
    return Coverage(planned, tally.completed_units, excluded, tally.failed_units, planned - settled)


def view_of(record: ScanRecord, now: datetime, workers: tuple[WorkerShare, ...] = ()) -> ScanView:
    """The view of a record at a moment of the ledger's clock."""
    coverage = coverage_of(record)
    progress = progress_percent(coverage, record.tally.in_flight_units)
    if record.scan.status is ScanStatus.COMPLETED:
        progress = 100.0
    eta_seconds = _eta_seconds(record, coverage, now)
    reason = None if record.scan.status.is_final else record.scan.waiting_reason
    return ScanView(record.scan, record.tally, coverage, progress, eta_seconds, workers, reason)


def _eta_seconds(record: ScanRecord, coverage: Coverage, now: datetime) -> int | None:
    """Seconds left if the rest goes as the scan went so far; None before anything was sent."""
    scan, started = record.scan, record.scan.started_at
    if scan.status is not ScanStatus.RUNNING or started is None:
        return None
    probed = coverage.completed + record.tally.in_flight_units
    elapsed_seconds = (now - started).total_seconds()
    if probed < 1 or elapsed_seconds <= 0:
        return None
    return int((coverage.remaining - record.tally.in_flight_units) * elapsed_seconds / probed) + 1


def get_scan(open_ledger: OpenLedger, scan_id: str) -> ScanView:
    """One scan with its workers. Raises NotFound."""
    with open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
        if record is None:
            raise scan_not_found(scan_id)
        now = ledger.now()
        view = view_of(record, now, tuple(ledger.chunks.shares(scan_id)))
        if record.scan.timeout_seconds is not None:
            view = replace(view, coverage=replace(view.coverage, not_reached=ledger.chunks.not_reached(scan_id)))
        reason = view.waiting_reason or _why_slower(ledger, record.scan, now)
        packets_sent = ledger.chunks.packets_sent(scan_id)
        warnings = _warnings(ledger, record.scan)
        return replace(view, waiting_reason=reason, packets_sent=packets_sent, warnings=warnings)


def _warnings(ledger: Ledger, scan: Scan) -> tuple[str, ...]:
    """What the submit said, and one sentence for each part that was not probed, up to SHOWN_WARNINGS."""
    unit = "host" if scan.counts_hosts else "probe"
    parts = ledger.chunks.unprobed(scan.id, SHOWN_WARNINGS)
    failed = (f"{units:,} {unit}{'' if units == 1 else 's'} failed: {reason}" for units, reason in parts)
    return (*scan.warnings, *failed)


def _why_slower(ledger: Ledger, scan: Scan, now: datetime) -> str | None:
    """The reason, where the scan's rate is more than its nodes can send."""
    if scan.status.is_final:
        return None
    limits = [node.rate_limit_pps for node in fit_nodes(ledger.nodes.all(), scan.type, now)]
    return why_slower(scan.rate_pps, limits, scan.max_workers)


def list_scans(
    open_ledger: OpenLedger, *, limit: int, before_id: str | None, status: ScanStatus | None, tool: str | None
) -> list[ScanView]:
    """At most `limit` scans, newest first; `before_id` is the last id of the page before."""
    with open_ledger(read_only=True) as ledger:
        now = ledger.now()
        records = ledger.scans.page(limit=limit, before_id=before_id, status=status, tool=tool)
        return [view_of(record, now) for record in records]


@dataclass(frozen=True)
class ChunkProof:
    """One chunk's part of the proof: what it covers and every try at it."""

    record: ChunkRecord
    attempts: tuple[AttemptRecord, ...]


def prove_coverage(open_ledger: OpenLedger, scan_id: str) -> tuple[ScanView, Iterator[ChunkProof]]:
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
