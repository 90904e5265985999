"""Stragglers: which chunk under way is worth cutting again for workers that have nothing left to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cloudx.domain.chunks import RENEW_SECONDS, ChunkSpan
from cloudx.domain.rates.grants import NMAP_RUNS_PER_NODE
from cloudx.domain.tools import ScanType

from .chunk_plan import divided

MAX_SPLITS = 2  # of what was one chunk: a target that is slow by itself must not be begun again for ever
MAX_PARTS = 64
MIN_HELD_SECONDS = 3.0  # before it, a chunk has hardly told of its progress
MIN_PART_SECONDS = 1.0  # of sending: below it, a scanner's start weighs more
RESTART_SECONDS = 2.5  # until a worker has asked for a part, started its scanner and sends
REVOKE_SECONDS = RENEW_SECONDS + 1.0  # until the straggler has heard that it lost its lease, and sends no more
CLEARLY = 1.5  # times what starting over takes: estimates are rough, and what was probed is probed again
BELIEVED_TIMES = 2.0  # so often its planned time, a chunk may be silent about its progress


@dataclass(frozen=True)
class Running:
    """A chunk under way as the ledger knows it."""

    span: ChunkSpan
    attempt: int
    worker_id: str
    node_id: str
    rate_pps: int
    sent_share: float
    held_seconds: float  # since its lease began
    silent_seconds: float  # since it told `sent_share`
    splits: int = 0  # how often what it was part of has been cut again

    def total_seconds(self, scan_type: ScanType) -> float:
        """How long it takes from its lease to its last probe, if it goes on as it went so far."""
        if self.sent_share > 0:
            return max(self.held_seconds, max(0.0, self.held_seconds - self.silent_seconds) / self.sent_share)
        planned = self.span.units * (scan_type.host_seconds or 1 / max(1, self.rate_pps))
        # nmap tells of a group of hosts at once, when the last of them is done.
        return planned if self.held_seconds <= BELIEVED_TIMES * planned else 2 * self.held_seconds

    def remaining_seconds(self, scan_type: ScanType) -> float:
        """Until its last probe."""
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
    """Which of the chunks that still send to cut again, and into what; None when waiting is better.

    For a scan that has no chunk left to claim. `idle_limits_pps` has, for each idle worker, what its node may send.
    """
    if not idle_limits_pps:
        return None
    for chunk in sorted(running, key=lambda r: r.remaining_seconds(scan_type), reverse=True):
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
    """The parts for each chunk worth it, of chunks that came back when their scan had nothing else left to claim.

    Each comes with how often it was cut. One worker would take it while the others watch.
    """
    if not returned or spare.workers < 2 * len(returned):
        return []
    each = Spare(spare.workers // len(returned), spare.rate_pps // len(returned))
    counts = [(span, part_count(span, scan_type, each)) for span, recuts in returned if recuts < MAX_SPLITS]
    return [tuple(divided(span, count)) for span, count in counts if count > 1 and span.units > 1]


def redo_seconds(straggler: Running, scan_type: ScanType, spare: Spare) -> float:
    """How long the whole of it takes once more, shared by the idle. The wait for late replies is the same for both."""
    if spare.rate_pps < 1:
        return math.inf
    if scan_type.counts_hosts:
        # Its targets may be what is slow, not its node.
        shared = straggler.total_seconds(scan_type) / max(1, min(spare.workers, straggler.span.units))
    else:
        shared = straggler.span.units / spare.rate_pps
    return spare.wait_seconds + RESTART_SECONDS + shared


def part_count(span: ChunkSpan, scan_type: ScanType, spare: Spare) -> int:
    """One for each idle worker (nmap: for each run of it), none too short."""
    if spare.rate_pps < 1:
        return 1
    if scan_type.counts_hosts:
        most = spare.workers * NMAP_RUNS_PER_NODE
    else:
        most = min(spare.workers, int(span.units * spare.workers / (spare.rate_pps * MIN_PART_SECONDS)))
    return min(most, MAX_PARTS)


def _spares(
    running: Sequence[Running], straggler: Running, idle_limits_pps: Sequence[int | None], scan_rate_pps: int
) -> list[Spare]:
    """What is free at once, while the straggler still sends, and what is free when it does no more."""
    can_pps = sum(straggler.rate_pps if limit is None else limit for limit in idle_limits_pps)
    free_pps = scan_rate_pps - sum(chunk.rate_pps for chunk in running)
    workers = len(idle_limits_pps)
    return [
        Spare(workers, max(0, min(free_pps, can_pps))),
        Spare(workers, max(0, min(free_pps + straggler.rate_pps, can_pps)), REVOKE_SECONDS),
    ]
