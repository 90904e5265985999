"""What a scan would cost, or why it would be refused: submit's own checks and plan, with nothing written."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudx.domain.access import Principal
from cloudx.domain.nodes import capable
from cloudx.domain.planning.estimate import estimated_seconds, probes_of
from cloudx.domain.rates.shares import why_slower
from cloudx.domain.scans import Scan

from .cut import cut_scan
from .scan_request import ScanRequest
from .second_stage import with_second
from .submit import SubmitScan

SHOWN_RANGES = 20
SHOWN_NODES = 1000
_OF_THE_FIRST = "These are the first stage's figures: what the second takes depends on what the first finds."


@dataclass(frozen=True)
class ScanPlan:
    """A scan that was not submitted. Counts in its unit, probes or hosts; `seconds` is a guess."""

    scan: Scan
    planned: int
    excluded: int
    probes: int
    chunks: int
    seconds: int
    rate_pps: int  # what the fit nodes can send of what was asked
    node_ids: tuple[str, ...]  # of those that can run it now
    excluded_ranges: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PlanScan:
    """Plans what SubmitScan would write."""

    submit: SubmitScan

    def __call__(self, request: ScanRequest, principal: Principal) -> ScanPlan:
        """The plan. Raises what the submit would raise."""
        read = self.submit.read(request, principal)
        with self.submit.open_ledger(read_only=True) as ledger:
            scan = self.submit.admit(ledger, read, principal)
            nodes = self.submit.fleet.of(ledger.nodes.all())
        if read.second_type is not None and scan.addresses:
            scan, second = with_second(scan, read.second_type, request.rate_pps)
            capable(nodes, second.type, scan.created_at)
            scan = replace(scan, warnings=(*scan.warnings, _OF_THE_FIRST))
        cut = cut_scan(scan, nodes, self.submit.chunk_seconds)
        chunks = sum(1 for _ in cut.spans)
        limits = [node.rate_limit_pps for node in cut.fit]
        slower = why_slower(scan.rate_pps, limits, scan.max_workers)
        scan = cut.scan
        return ScanPlan(
            scan=scan,
            planned=scan.planned_units,
            excluded=scan.excluded_addresses * scan.units_per_address,
            probes=probes_of(scan),
            chunks=chunks,
            seconds=estimated_seconds(scan, cut.workers, chunks, cut.rate_pps),
            rate_pps=cut.rate_pps,
            node_ids=tuple(node.node_id for node in cut.fit[:SHOWN_NODES]),
            excluded_ranges=tuple((read.resolved.addresses - scan.addresses).texts()[:SHOWN_RANGES]),
            warnings=(*scan.warnings, *([slower] if slower else [])),
        )
