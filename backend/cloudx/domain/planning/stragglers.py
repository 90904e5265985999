"""Stragglers: which running chunk to split for workers that have nothing left to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cloudx.domain.chunks import RENEW_SECONDS, ChunkSpan
from cloudx.domain.tools import ScanType

from .chunk_plan import divided

MAX_SPLITS = 2  # of what was one chunk: a slow target must not be started again for ever
MAX_PARTS = 64
MIN_HELD_SECONDS = 3.0  # progress reported earlier says too little
MIN_PART_SECONDS = 1.0  # of sending: in a shorter part the scanner's start weighs more
RESTART_SECONDS = 2.5  # until a worker has claimed a part, started its scanner and sends
REVOKE_SECONDS = RENEW_SECONDS + 1.0  # until the straggler knows that it lost its lease, and has stopped sending
CLEARLY = 1.5  # times what running it again takes: estimates are rough, and what was probed is probed again
BELIEVED_TIMES = 2.0  # its planned time: for so long a chunk may report no progress


@dataclass(frozen=True)
class Running:
    """A running chunk, as the ledger knows it."""

    span: ChunkSpan
    attempt: int
    worker_id: str
    node_id: str
    rate_pps: int
    sent_share: float
    held_seconds: float  # since its lease began
    silent_seconds: float  # since it reported `sent_share`
    splits: int = 0  # how often the chunk that it was part of has been split

    def total_seconds(self, scan_type: ScanType) -> float:
        """Seconds from its lease to its last probe, at its pace so far."""
        if self.sent_share > 0:
            return max(self.held_seconds, max(0.0, self.held_seconds - self.silent_seconds) / self.sent_share)
        # A host of nmap's is a unit, unless its ports are cut too.
        unit_seconds = scan_type.host_seconds if self.span.port_count == 1 else 0.0
        planned = self.span.units * (unit_seconds or 1 / max(1, self.rate_pps))
        # nmap reports a group of hosts at once, when the last of them is done.
        return planned if self.held_seconds <= BELIEVED_TIMES * planned else 2 * self.held_seconds

    def remaining_seconds(self, scan_type: ScanType) -> float:
        """Seconds until its last probe."""
        return max(0.0, self.total_seconds(scan_type) - self.held_seconds)


@dataclass(frozen=True)
class Spare:
    """What is free for one scan: idle workers, and the rate they could send together after `wait_seconds`."""

    workers: int
    rate_pps: int
    wait_seconds: float = 0.0


@dataclass(frozen=True)
class Split:
    """A decision: this attempt loses its lease; its chunk becomes parts that can be claimed after `wait_seconds`."""

    straggler: Running
    parts: tuple[ChunkSpan, ...]
    wait_seconds: float = 0.0


def choose_split(
    running: Sequence[Running], scan_type: ScanType, idle_limits_pps: Sequence[int | None], scan_rate_pps: int
) -> Split | None:
    """Which of the running chunks to split, and into what; None when waiting is better.

    For a scan that has no chunk left to claim. `idle_limits_pps` has what the node of each idle worker may send.
    """
    if not idle_limits_pps:
        return None
    for chunk in sorted(running, key=lambda chunk: chunk.remaining_seconds(scan_type), reverse=True):
        if chunk.splits >= MAX_SPLITS or chunk.held_seconds < MIN_HELD_SECONDS or chunk.span.units < 2:
            continue
        spares = _spares(running, chunk, idle_limits_pps, scan_rate_pps)
        best = min(spares, key=lambda spare: redo_seconds(chunk, scan_type, spare))
        if chunk.remaining_seconds(scan_type) > CLEARLY * redo_seconds(chunk, scan_type, best):
            parts = max(2, part_count(chunk.span, scan_type, best))
            return Split(chunk, tuple(divided(chunk.span, parts)), best.wait_seconds)
    return None


def choose_splits(
    returned: Sequence[tuple[ChunkSpan, int]], scan_type: ScanType, spare: Spare
) -> list[tuple[ChunkSpan, ...]]:
    """The parts of each returned chunk that is worth splitting, of a scan with nothing else left to claim.

    `returned` has each chunk's span, and how often it was split. Whole, it would go to one worker and the others
    would wait.
    """
    if not returned or spare.workers < 2 * len(returned):
        return []
    each = Spare(spare.workers // len(returned), spare.rate_pps // len(returned))
    counts = [(span, part_count(span, scan_type, each)) for span, splits in returned if splits < MAX_SPLITS]
    return [tuple(divided(span, count)) for span, count in counts if count > 1 and span.units > 1]


def redo_seconds(straggler: Running, scan_type: ScanType, spare: Spare) -> float:
    """Seconds to run the whole chunk again, shared by the idle workers, without the wait for late replies."""
    if spare.rate_pps < 1:
        return math.inf
    if scan_type.counts_hosts:
        # Its targets may be slow, and not its node.
        shared = straggler.total_seconds(scan_type) / max(1, min(spare.workers, straggler.span.units))
    else:
        shared = straggler.span.units / spare.rate_pps
    return spare.wait_seconds + RESTART_SECONDS + shared


def part_count(span: ChunkSpan, scan_type: ScanType, spare: Spare) -> int:
    """One for each idle worker (nmap: for each run of it), none too short."""
    if spare.rate_pps < 1:
        return 1
    if scan_type.counts_hosts:
        most = spare.workers * scan_type.runs_per_node
    else:
        most = min(spare.workers, int(span.units * spare.workers / (spare.rate_pps * MIN_PART_SECONDS)))
    return min(most, MAX_PARTS)


def _spares(
    running: Sequence[Running], straggler: Running, idle_limits_pps: Sequence[int | None], scan_rate_pps: int
) -> list[Spare]:
    """What is free now, while the straggler sends, and what is free once it has stopped."""
    can_pps = sum(straggler.rate_pps if limit is None else limit for limit in idle_limits_pps)
    free_pps = scan_rate_pps - sum(chunk.rate_pps for chunk in running)
    workers = len(idle_limits_pps)
    return [
        Spare(workers, max(0, min(free_pps, can_pps))),
        Spare(workers, max(0, min(free_pps + straggler.rate_pps, can_pps)), REVOKE_SECONDS),
    ]
