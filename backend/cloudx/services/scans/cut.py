"""Cut a scan into chunks for the nodes that can run it now, or say why none can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.nodes import Node, capable
from cloudx.domain.planning.chunk_plan import plan
from cloudx.domain.planning.durations import with_ports_split
from cloudx.domain.proof.tries import tries_of
from cloudx.domain.rates.shares import sendable_pps
from cloudx.domain.scans import Scan

from .scan_request import require_sendable


@dataclass(frozen=True)
class Cut:
    """A scan as it will run: `fit` can take part, `workers` of them do, and send `rate_pps` together."""

    scan: Scan
    fit: tuple[Node, ...]
    workers: int
    rate_pps: int
    spans: Iterator[ChunkSpan]  # to be read once


def cut_scan(scan: Scan, nodes: Sequence[Node], chunk_seconds: float) -> Cut:
    """The scan and its chunks. Raises NoCapableNode; the spans raise TooLarge."""
    fit = capable(list(nodes), scan.type, scan.created_at)
    require_sendable(scan, fit)
    workers = min(len(fit), scan.max_workers or len(fit))
    # A chunk is planned in seconds of sending, so by what can be sent: a rate may be asked that no fleet has.
    rate_pps = sendable_pps(scan.rate_pps, [node.rate_limit_pps for node in fit], workers)
    scan = with_ports_split(scan, workers, rate_pps)
    sent = replace(scan, rate_pps=rate_pps)
    spans = plan(sent, expected_workers=workers, chunk_seconds=chunk_seconds / tries_of(scan))
    return Cut(scan, tuple(fit), workers, rate_pps, spans)
