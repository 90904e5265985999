"""What people see of scans: status, progress, coverage, workers, time left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, groupby
from typing import Generic, TypeVar

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.coverage import Coverage, progress_percent
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.stages.progress import stages_percent
from cloudx.domain.timing.holds import why_held
from cloudx.domain.tools import Tool
from cloudx.services.chunks.follow import added
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import AttemptRecord, ChunkRecord, ScanSummary, ShownScan, Tally, WorkerShare
from cloudx.services.ledger.stages import SecondStage

from .control import scan_not_found
from .hours import why_closed
from .waiting import why_waiting

PROOF_PAGE = 500
SHOWN_WARNINGS = 10


Shown = TypeVar("Shown", Scan, ScanSummary)
_UNIT_OF_SECOND = "port"


@dataclass(frozen=True)
class StageView:
    """One stage of a scan of two: its id in the ledger, its tool, and what its coverage counts, in the singular."""

    id: str
    tool: Tool
    unit: str
    coverage: Coverage


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
    waits_until: datetime | None = None  # when its hours open
    warnings: tuple[str, ...] = ()  # what was not probed although the scan went on, and why
    stages: tuple[StageView, ...] = ()  # where there are two; the coverage and the tally are their sums


def coverage_of(scan: ShownScan, tally: Tally) -> Coverage:
    """The scan's coverage from its counters."""
    excluded = scan.excluded_addresses * scan.units_per_address + tally.excluded_units
    settled = tally.completed_units + tally.failed_units + excluded
    planned = scan.planned_units
    remaining = planned - settled
    not_reached = remaining if scan.status.is_final else 0
    return Coverage(planned, tally.completed_units, excluded, tally.failed_units, remaining, not_reached)


def unit_of(scan: ShownScan) -> str:
    """What the coverage of a scan, or of its first stage, counts, in the singular."""
    counts_hosts = scan.counts_hosts if isinstance(scan, Scan) else scan.type.counts_hosts
    return "host" if counts_hosts else "probe"


def view_of(
    scan: Shown, tally: Tally, now: datetime, workers: tuple[WorkerShare, ...] = (), second: SecondStage | None = None
) -> ScanView[Shown]:
    """The view of a scan, with its second stage where it has one, at a moment of the ledger's clock."""
    if second is not None:
        return _view_of_two(scan, tally, now, workers, second)
    coverage = coverage_of(scan, tally)
    progress = progress_percent(coverage, tally.in_flight_units)
    if scan.status is ScanStatus.COMPLETED:
        progress = 100.0
    eta_seconds = _eta_seconds(scan, tally, coverage, now)
    reason = None if scan.status.is_final else why_held(scan.hold, now) or scan.waiting_reason
    return ScanView(scan, tally, coverage, progress, eta_seconds, workers, reason, waits_until=_waits_until(scan, now))


def _waits_until(scan: ShownScan, now: datetime) -> datetime | None:
    return None if scan.status.is_final else scan.hold.next_opening(now)


def _view_of_two(
    scan: Shown, tally: Tally, now: datetime, workers: tuple[WorkerShare, ...], second: SecondStage
) -> ScanView[Shown]:
    summary, second_tally = second.record.scan, second.record.tally
    first, then = coverage_of(scan, tally), coverage_of(summary, second_tally)
    coverage = first + then
    settled_with_rest = float(first.planned - first.remaining)
    if second.followed is not None:
        done = then.planned - then.remaining + second_tally.in_flight_units
        excluded = scan.excluded_addresses * scan.units_per_address
        settled_with_rest = excluded + second.followed.settled_at(done)
    progress = stages_percent(
        first, tally.in_flight_units, settled_with_rest, scan.first_weight, is_over=coverage.remaining == 0
    )
    stages = (
        StageView(scan.id, scan.tool, unit_of(scan), first),
        StageView(summary.id, summary.tool, _UNIT_OF_SECOND, then),
    )
    said = why_held(scan.hold, now) or scan.waiting_reason or summary.waiting_reason
    reason = None if scan.status.is_final else said
    eta_seconds = _eta_by_bar(scan, progress, now)
    view = ScanView(scan, added(tally, second_tally), coverage, progress, eta_seconds, workers, reason, stages=stages)
    return replace(view, waits_until=_waits_until(scan, now))


def _eta_by_bar(scan: ShownScan, progress: float, now: datetime) -> int | None:
    """Seconds left if the bar goes on as it went: nobody knows yet how much will follow."""
    if scan.status is not ScanStatus.RUNNING or scan.started_at is None or progress <= 0:
        return None
    if scan.hold.is_held(now):
        return None
    return int(scan.hold.running_seconds(scan.started_at, now) * (100 - progress) / progress) + 1


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
        if record is None or record.scan.follows is not None:
            raise scan_not_found(scan_id)
        now, seconds = ledger.now(), _seconds_of(ledger, [record.scan])
        second = seconds.get(record.scan.followed_by or "")
        stage_ids = [scan_id, second.record.scan.id] if second else [scan_id]
        workers = _together([share for one in stage_ids for share in ledger.chunks.shares(one)])
        view = view_of(record.scan, record.tally, now, workers, second)
        if record.scan.timeout_seconds is not None:
            not_reached = view.coverage.not_reached + sum(map(ledger.chunks.not_reached, stage_ids))
            view = replace(view, coverage=replace(view.coverage, not_reached=not_reached))
        reason = view.waiting_reason or why_waiting(ledger, record, now)
        if second is not None:
            view = replace(view, warnings=second.warnings)
        hold = record.scan.hold
        if hold.is_closed(now) and not hold.is_paused and not record.scan.status.is_final:
            reason = why_closed(record.scan, ledger.policies.scopes(), now) or reason
        packets_sent = ledger.chunks.packets_sent(scan_id)
        return replace(view, waiting_reason=reason, packets_sent=packets_sent, warnings=_warnings(ledger, view))


def _seconds_of(ledger: Ledger, scans: Iterable[ShownScan]) -> Mapping[str, SecondStage]:
    """The second stages of these scans, by their own ids."""
    return ledger.stages.standing([scan.followed_by for scan in scans if scan.followed_by])


def _together(shares: Iterable[WorkerShare]) -> tuple[WorkerShare, ...]:
    """One a node, over the stages."""
    by_node: dict[str, WorkerShare] = {}
    for share in shares:
        known = by_node.get(share.node_id)
        if known is not None:
            done, rate_pps = known.chunks_done + share.chunks_done, known.rate_pps + share.rate_pps
            share = replace(share, chunks_done=done, rate_pps=rate_pps)
        by_node[share.node_id] = share
    return tuple(by_node[node_id] for node_id in sorted(by_node))


def is_over(open_ledger: OpenLedger, scan_id: str) -> bool:
    """True once a scan has ended, or is deleted."""
    with open_ledger(read_only=True) as ledger:
        summary = ledger.scans.summary(scan_id)
    return summary is None or summary.status.is_final


def _warnings(ledger: Ledger, view: ScanView[Scan]) -> tuple[str, ...]:
    """What the submit said, and one sentence for each reason why a part was not probed, up to SHOWN_WARNINGS."""
    units = [(stage.id, stage.unit) for stage in view.stages] or [(view.scan.id, unit_of(view.scan))]
    parts = [(unit, *part) for stage_id, unit in units for part in ledger.chunks.unprobed(stage_id, SHOWN_WARNINGS)]
    failed = tuple(
        f"{count:,} {unit}{'' if count == 1 else 's'} failed: {reason}"
        for unit, count, reason in parts[:SHOWN_WARNINGS]
    )
    said = (*view.scan.warnings, *view.warnings)
    if view.scan.status is not ScanStatus.COMPLETED or not failed:
        return (*said, *failed)
    coverage, unit = view.coverage, unit_of(view.scan)
    in_part = f"Completed in part: {coverage.failed:,} of {coverage.planned:,} {unit}s failed."
    return (*said, in_part, *failed)


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
        seconds = _seconds_of(ledger, [record.scan for record in records])
    views = tuple(
        view_of(record.scan, record.tally, now, second=seconds.get(record.scan.followed_by or ""))
        for record in records[:limit]
    )
    return ScanPage(views, total, views[-1].scan.id if len(records) > limit else None)


@dataclass(frozen=True)
class ChunkProof:
    """One chunk's part of the proof: what it covers and every try at it; chunks are numbered within their stage."""

    stage: int  # 1 or 2
    record: ChunkRecord
    addresses: AddressSet
    ports: PortSet | None
    attempts: tuple[AttemptRecord, ...]


def prove_coverage(open_ledger: OpenLedger, scan_id: str) -> tuple[ScanView[Scan], Iterator[ChunkProof]]:
    """The scan, and a stream of its chunks with their attempts, read page by page. Raises NotFound."""
    view = get_scan(open_ledger, scan_id)
    stages = [stage.id for stage in view.stages] or [scan_id]
    proofs = (_proofs(open_ledger, view.scan, stage, stage_id) for stage, stage_id in enumerate(stages, 1))
    return view, chain.from_iterable(proofs)


def _proofs(open_ledger: OpenLedger, scan: Scan, stage: int, scan_id: str) -> Iterator[ChunkProof]:
    after = -1
    while True:
        with open_ledger(read_only=True) as ledger:
            records = ledger.chunks.records(scan_id, after, PROOF_PAGE)
            if not records:
                return
            after = records[-1].span.number
            tries = ledger.chunks.attempts(scan_id, records[0].span.number, after)
            covered = _covered(ledger, scan, scan_id, [record.span for record in records])
        by_chunk = {number: tuple(group) for number, group in groupby(tries, key=lambda a: a.number)}
        for record, (addresses, ports) in zip(records, covered, strict=True):
            yield ChunkProof(stage, record, addresses, ports, by_chunk.get(record.span.number, ()))


def _covered(
    ledger: Ledger, scan: Scan, stage_id: str, spans: Sequence[ChunkSpan]
) -> list[tuple[AddressSet, PortSet | None]]:
    if stage_id != scan.id:
        return [(part.addresses, part.ports) for part in ledger.stages.parts_of(stage_id, spans)]
    return [(span.addresses_of(scan), span.ports_of(scan)) for span in spans]
