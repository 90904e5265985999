"""The scans that wait for a node's workers: whose turn it is, and at which rate the next chunk of each may go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

from cloudx.domain.nodes import missing_capability
from cloudx.domain.planning.durations import ports_of_a_host
from cloudx.domain.rates.grants import clamp_pps, unasked_share_pps
from cloudx.domain.rates.shares import Want, chunk_share_pps, room_pps, runs_abreast, share_beside
from cloudx.domain.rates.turns import Contender, fair_pps, in_turn, is_quick, quick_share_pps, soon_pps, usable_by
from cloudx.domain.scans import Scan
from cloudx.domain.tools import UNBOUNDED_PPS
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.ledger.records import Leased, Participants, WaitingScan

KNOWN_SECONDS = 0.25  # shares are decided on a queue read at most this long ago
MAX_RIVALS = 15  # who comes later in turn takes no part yet: a sixteenth of a node's limit is little enough


@dataclass(frozen=True)
class Claimant:
    """A worker that requests chunks, and what its machine can do."""

    worker_id: str
    node_id: str
    capabilities: tuple[str, ...]
    node_limit_pps: int
    only_scan: str | None = None

    def may_take(self, scan: WaitingScan) -> bool:
        """True if this worker serves the scan and its machine can run it."""
        if self.only_scan not in (None, scan.id) or self.node_limit_pps < scan.type.unheld_pps:
            return False
        return missing_capability(self.capabilities, scan.type) is None


@dataclass
class QueueCache:
    """The waiting scans and their participants, read again every KNOWN_SECONDS; threads of one node share it.

    It decides turns and shares alone. The claim clamps a share, under lock, to the free rate: stale
    knowledge costs balance for a moment and never breaks a limit.
    """

    clock: Callable[[], float] = time.monotonic
    known_seconds: float = KNOWN_SECONDS
    read_at: float = -math.inf
    scans: tuple[WaitingScan, ...] = ()
    _node_id: str = ""
    _order: list[WaitingScan] | None = None  # of `scans`: sorting thousands takes a while
    _asked_for: frozenset[str] = frozenset()
    _participants: dict[str, Participants] = field(default_factory=dict)
    _whole: dict[str, Scan] = field(default_factory=dict)

    def is_fresh(self, claimant: Claimant) -> bool:
        """True while it needs no new read for this claimant's node."""
        return self._node_id == claimant.node_id and self.clock() < self.read_at + self.known_seconds

    def read(self, ledger: Ledger, claimant: Claimant) -> None:
        """Read the waiting scans; forget the earlier participants."""
        read_at = self.clock()
        self._node_id = claimant.node_id
        queue = ledger.claims.queue(claimant.node_id, claimant.only_scan)
        self.scans, self._asked_for = queue.scans, queue.asked_for
        self._participants, self._order = dict(queue.participants), None
        waiting = {scan.id for scan in self.scans}
        self._whole = {scan_id: scan for scan_id, scan in self._whole.items() if scan_id in waiting}
        self.read_at = read_at

    def in_turn(self, claimant: Claimant) -> list[WaitingScan]:
        """The scans that this worker may take, in the order in which it tries them."""
        return list(filter(claimant.may_take, self._ordered()))

    def count_claim(self, leased: Leased) -> None:
        """Count a chunk that was just leased, until the next read."""
        lease = leased.lease
        self.scans = tuple(
            replace(one, held_pps=one.held_pps + lease.rate_pps, served_at=leased.now)
            if one.id == lease.scan_id
            else one
            for one in self.scans
        )
        self._order = None

    def share_of(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """Packets per second that a chunk of this scan should get on the claimant's node; 0 when it must wait."""
        limit_pps = self._limit_of(scan, claimant, ledger)
        first = [self._want(other, ledger) for other in self._goes_first(scan, claimant)]
        room, runs = room_pps(limit_pps, first), self._runs_abreast(scan, ledger)
        rivals = [self._contender(one, room, claimant, ledger) for one in self._rivals(scan, claimant)]
        is_unasked, is_soon_over = scan.rate_pps >= UNBOUNDED_PPS, is_quick(self._probes(scan, ledger), limit_pps)
        free = self._free_for(scan, claimant, room, ledger) if is_unasked or is_soon_over else room
        if is_unasked:
            whole = max(scan.type.unheld_pps, room // (runs + 1))
            share = unasked_share_pps(room, free, runs, scan.type.unheld_pps)
        else:
            whole = self._chunk_share(scan, ledger)
            share = share_beside(whole, limit_pps, first)
        if rivals:
            fair = fair_pps(room, [Contender(scan.id, scan.owner, whole * runs), *rivals], scan.id)
            share = clamp_pps(min(share, max(1, fair // runs)), fair - scan.held_pps)
        if is_soon_over:
            waiting = 1 + sum(one.held_pps == 0 for one in rivals)
            share = quick_share_pps(share or whole, self._chunk_probes(scan, ledger), free, waiting)
        return share if share >= scan.type.unheld_pps else 0

    def room_for(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """Packets per second that the claimant's node may send, over all scans, with a chunk of this one.

        A worker of one scan leaves the workers beside it what scans of higher priority still want here. A worker that
        serves all scans has tried those scans first. The last of a node's limit is kept for scans that are soon over.
        """
        limit_pps = self._limit_of(scan, claimant, ledger)
        first = self._goes_first(scan, claimant) if claimant.only_scan else []
        room = room_pps(limit_pps, [self._want(other, ledger) for other in first])
        return max(0, room - limit_pps + usable_by(self._probes(scan, ledger), limit_pps))

    def whole(self, scan_id: str, ledger: Ledger) -> Scan | None:
        """The scan; it never changes except for its state."""
        known = self._whole.get(scan_id)
        if known is None and (record := ledger.scans.get(scan_id)):
            known = self._whole[scan_id] = record.scan
        return known

    def _free_for(self, scan: WaitingScan, claimant: Claimant, room: int, ledger: Ledger) -> int:
        """What nobody sends of the room, read anew for each claim; 0 where the scan has as many runs as may be."""
        load = ledger.claims.load_of(scan.id, claimant.node_id)
        has_all_runs = scan.rate_pps >= UNBOUNDED_PPS and load.runs >= scan.type.runs_per_node
        return 0 if has_all_runs else room - load.granted_pps

    def _ordered(self) -> list[WaitingScan]:
        if self._order is None:
            by_id = {scan.id: scan for scan in self.scans}
            turns = [by_id[one.scan_id] for one in in_turn(map(_contender, self.scans))]
            self._order = sorted(turns, key=lambda scan: -scan.priority)
        return self._order

    def _goes_first(self, scan: WaitingScan, claimant: Claimant) -> list[WaitingScan]:
        """The scans of higher priority; a worker of all scans counts those alone that it may take."""
        first = [other for other in self.scans if other.priority > scan.priority]
        return first if claimant.only_scan else [other for other in first if claimant.may_take(other)]

    def _rivals(self, scan: WaitingScan, claimant: Claimant) -> list[WaitingScan]:
        """The other scans of its priority that could run on this node now, those whose turn it is."""
        others = (other for other in self._ordered() if other.priority == scan.priority and other.id != scan.id)
        if claimant.only_scan:
            here = [other for other in others if other.held_pps or other.id in self._asked_for]
            return here[:MAX_RIVALS]
        return list(islice(filter(claimant.may_take, others), MAX_RIVALS))

    def _contender(self, scan: WaitingScan, room: int, claimant: Claimant, ledger: Ledger) -> Contender:
        if scan.rate_pps >= UNBOUNDED_PPS:
            wants = room
        else:
            wants = self._chunk_share(scan, ledger) * self._runs_abreast(scan, ledger)
        return replace(_contender(scan), wants_pps=min(wants, soon_pps(self._probes(scan, ledger))))

    def _probes(self, scan: WaitingScan, ledger: Ledger) -> float:
        whole = self.whole(scan.id, ledger)
        if whole is None:
            return math.inf  # deleted: the claim will say so
        if whole.follows is not None:
            return math.inf  # nobody knows yet what will follow
        ports = ports_of_a_host(scan.type, whole.ports) if scan.type.counts_hosts else whole.units_per_address
        return whole.addresses.size * ports

    def _chunk_probes(self, scan: WaitingScan, ledger: Ledger) -> int:
        return math.ceil(self._probes(scan, ledger) / max(1, scan.chunks_open))

    def _chunk_share(self, scan: WaitingScan, ledger: Ledger) -> int:
        limits = self._participants_of(scan, ledger).limits_pps
        probes = self._probes(scan, ledger)
        usable = [limit and usable_by(probes, limit) for limit in limits]
        return chunk_share_pps(scan.type, scan.rate_pps, usable, scan.chunks_open)

    def _runs_abreast(self, scan: WaitingScan, ledger: Ledger) -> int:
        if scan.type.runs_per_node == 1:
            return 1
        nodes = len(self._participants_of(scan, ledger).limits_pps)
        return runs_abreast(scan.type, nodes, scan.chunks_open)

    def _limit_of(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """The lesser of the worker's own limit and what its node registered."""
        registered = self._participants_of(scan, ledger).limit_here_pps
        return claimant.node_limit_pps if registered is None else min(claimant.node_limit_pps, registered)

    def _want(self, scan: WaitingScan, ledger: Ledger) -> Want:
        participants = self._participants_of(scan, ledger)
        if not participants.is_here:
            return Want(0, 0, 0)  # the scan has no worker on this node
        here = participants.granted_here_pps
        if scan.rate_pps >= UNBOUNDED_PPS and here:
            return Want(0, here, 0)  # nobody asked for more, and what is free is halved at its next claim
        return Want(self._chunk_share(scan, ledger), here, scan.rate_pps - participants.granted_pps)

    def _participants_of(self, scan: WaitingScan, ledger: Ledger) -> Participants:
        participants = self._participants.get(scan.id)
        if participants is None:
            participants = self._participants[scan.id] = ledger.claims.participants_of(
                scan.id, scan.type, self._node_id
            )
        return participants


def _contender(scan: WaitingScan) -> Contender:
    served_at = -math.inf if scan.served_at is None else scan.served_at.timestamp()
    return Contender(scan.id, scan.owner, scan.rate_pps, scan.held_pps, served_at)
