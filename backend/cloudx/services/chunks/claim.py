"""Claim a chunk: pick a scan, share out its rate, take the lease, check that it may still run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import Lease
from cloudx.domain.identity import excluded_part, unauthorised_part
from cloudx.domain.nodes import missing_capability
from cloudx.domain.port_set import PortSet
from cloudx.domain.rates.grants import unasked_share_pps
from cloudx.domain.rates.shares import Want, chunk_share_pps, room_pps, runs_abreast, share_beside
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import UNBOUNDED_PPS
from cloudx.services.access.policy import PolicyCache
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import ClaimRequest, Leased, Participants, Refusal, WaitingScan

KNOWN_SECONDS = 0.25  # shares are decided on a queue read at most this long ago
NAMES_SECONDS = 1.0  # what a claim waits for the addresses of excluded names: its lease runs meanwhile
NOTE_SECONDS = 1.0  # a worker without work is noted at most this often


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


@dataclass(frozen=True)
class Claim:
    """A leased chunk with everything that a run needs."""

    lease: Lease
    scan: Scan
    addresses: AddressSet  # the chunk's, minus what has been excluded since
    ports: PortSet | None
    excluded_units: int

    @property
    def units(self) -> int:
        """What the chunk covers, including the excluded."""
        return self.lease.span.units


@dataclass
class QueueCache:
    """The waiting scans and their participants, read again every KNOWN_SECONDS; threads share it.

    It decides shares alone. The claim clamps a share, under lock, to the free rate: stale
    knowledge costs balance for a moment and never breaks a limit.
    """

    clock: Callable[[], float] = time.monotonic
    known_seconds: float = KNOWN_SECONDS
    read_at: float = float("-inf")
    scans: tuple[WaitingScan, ...] = ()
    _participants: dict[str, Participants] = field(default_factory=dict)
    _whole: dict[str, Scan] = field(default_factory=dict)

    def is_fresh(self) -> bool:
        """True while it needs no new read."""
        return self.clock() < self.read_at + self.known_seconds

    def read(self, ledger: Ledger) -> None:
        """Read the waiting scans; forget the earlier participants."""
        read_at = self.clock()
        self.scans = tuple(ledger.scans.waiting())
        self._participants = {}
        waiting = {scan.id for scan in self.scans}
        self._whole = {scan_id: scan for scan_id, scan in self._whole.items() if scan_id in waiting}
        self.read_at = read_at

    def share_of(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """Packets per second that a chunk of this scan should get on the claimant's node; 0 when it must wait."""
        if scan.rate_pps >= UNBOUNDED_PPS:
            return self._unasked_share(scan, claimant, ledger)
        limits = self._participants_of(scan, ledger).limits_with(claimant.node_id)
        share = chunk_share_pps(scan.type, scan.rate_pps, limits, scan.chunks_open)
        first = self._goes_first(scan, claimant)
        limit_pps = self._limit_of(claimant, first, ledger)
        return share_beside(share, limit_pps, [self._want(other, claimant.node_id, ledger) for other in first])

    def _unasked_share(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """Of the node's limit, read anew for each claim: what is free bounds it, and no rate of the scan does."""
        load = ledger.claims.load_of(scan.id, claimant.node_id)
        if load.runs >= scan.type.runs_per_node:
            return 0
        first = self._goes_first(scan, claimant)
        wants = [self._want(other, claimant.node_id, ledger) for other in first]
        room = room_pps(self._limit_of(claimant, [scan], ledger), wants)
        nodes = len(self._participants_of(scan, ledger).limits_with(claimant.node_id))
        runs, free = runs_abreast(scan.type, nodes, scan.chunks_open), room - load.granted_pps
        return unasked_share_pps(room, free, runs, scan.type.unheld_pps)

    def room_for(self, scan: WaitingScan, claimant: Claimant, ledger: Ledger) -> int:
        """Packets per second that the claimant's node may send for this scan.

        A worker of one scan leaves the workers beside it what scans of higher priority still want here. A worker that
        serves all scans has tried those scans first.
        """
        first = self._goes_first(scan, claimant) if claimant.only_scan else []
        limit_pps = self._limit_of(claimant, first, ledger)
        return room_pps(limit_pps, [self._want(other, claimant.node_id, ledger) for other in first])

    def _goes_first(self, scan: WaitingScan, claimant: Claimant) -> list[WaitingScan]:
        """The scans served before this one; a worker of all scans also serves older scans of equal priority first."""
        if claimant.only_scan:
            return [other for other in self.scans if other.priority > scan.priority]
        before = [other for other in self.scans if (-other.priority, other.id) < (-scan.priority, scan.id)]
        return [other for other in before if claimant.may_take(other)]

    def _limit_of(self, claimant: Claimant, scans: Iterable[WaitingScan], ledger: Ledger) -> int:
        known = [self._participants_of(other, ledger).limits_pps.get(claimant.node_id) for other in scans]
        return min([claimant.node_limit_pps, *(limit for limit in known if limit is not None)])

    def _want(self, scan: WaitingScan, node_id: str, ledger: Ledger) -> Want:
        participants = self._participants_of(scan, ledger)
        if node_id not in participants.nodes:
            return Want(0, 0, 0)  # the scan has no worker on this node
        share = chunk_share_pps(scan.type, scan.rate_pps, participants.limits_with(node_id), scan.chunks_open)
        here = participants.granted_pps.get(node_id, 0)
        if scan.rate_pps >= UNBOUNDED_PPS and here:
            return Want(0, here, 0)  # nobody asked for more, and what is free is halved at its next claim
        return Want(share, here, scan.rate_pps - sum(participants.granted_pps.values()))

    def _participants_of(self, scan: WaitingScan, ledger: Ledger) -> Participants:
        participants = self._participants.get(scan.id)
        if participants is None:
            participants = self._participants[scan.id] = ledger.claims.participants_of(scan.id, scan.type)
        return participants

    def whole(self, scan_id: str, ledger: Ledger) -> Scan | None:
        """The scan; it never changes except for its state."""
        known = self._whole.get(scan_id)
        if known is None and (record := ledger.scans.get(scan_id)):
            known = self._whole[scan_id] = record.scan
        return known


@dataclass(frozen=True)
class ClaimChunk:
    """Lease chunks for the workers of one process."""

    open_ledger: OpenLedger
    policies: PolicyCache
    queue: QueueCache = field(default_factory=QueueCache)
    _noted_at: dict[str, float] = field(default_factory=dict)  # by worker

    def __call__(self, claimant: Claimant) -> Claim | None:
        """Lease one chunk of the first scan that has work and rate to spare; None when there is nothing to do."""
        refusals: list[Refusal] = []
        while True:
            is_fresh_look = not self.queue.is_fresh()
            if is_fresh_look:
                with self.open_ledger(read_only=True, at_once=True) as ledger:
                    self.queue.read(ledger)
            for scan in self.queue.scans:
                if claimant.may_take(scan):
                    answer = self._claim_from(scan, claimant)
                    if isinstance(answer, Claim):
                        return answer
                    refusals.append(answer)
            if is_fresh_look:
                break
            self.queue.read_at = float("-inf")  # the known queue had nothing: read it again before giving up
        # A worker of all scans whose node is full has work already: noting it would take rate from others.
        if not refusals or Refusal.NO_RATE in refusals or (claimant.only_scan and Refusal.NODE_FULL in refusals):
            self._note_request(claimant)
        return None

    def _claim_from(self, waiting: WaitingScan, claimant: Claimant) -> Claim | Refusal:
        with self.open_ledger(at_once=True) as ledger:
            share = self.queue.share_of(waiting, claimant, ledger)
            if share == 0:
                return Refusal.NODE_FULL
            room = self.queue.room_for(waiting, claimant, ledger)
            request = ClaimRequest(waiting.id, claimant.worker_id, claimant.node_id, share, room)
            leased = ledger.claims.claim(request)
            if isinstance(leased, Refusal):
                return leased
            ledger.commit()
            scan = self.queue.whole(waiting.id, ledger)
        if scan is None:
            return Refusal.OVER
        return self._checked(replace(scan, status=ScanStatus.RUNNING), leased)

    def _checked(self, scan: Scan, leased: Leased) -> Claim | Refusal:
        """Apply the current exclusions to a lease; fail the scan if its scope is gone."""
        lease, policy = leased.lease, self.policies.at(leased.policy_version, self.open_ledger)
        assigned = lease.span.addresses_of(scan)
        excluded = self.policies.excluded(policy, scan.host_names, scan.excluded_names, NAMES_SECONDS)
        addresses = assigned - excluded_part(assigned, excluded)
        outside = unauthorised_part(addresses, policy.allowed(leased.now, scan.host_names))
        if outside:
            fail_out_of_scope(self.open_ledger, lease, outside)
            with self.open_ledger() as ledger:
                ledger.chunks.release(lease, "cancelled")
                ledger.commit()
            return Refusal.OVER
        excluded_units = (assigned.size - addresses.size) * lease.span.port_count
        return Claim(lease, scan, addresses, lease.span.ports_of(scan), excluded_units)

    def _note_request(self, claimant: Claimant) -> None:
        """Note a worker without work, so that the next claims leave it a share."""
        now = self.queue.clock()
        if now < self._noted_at.get(claimant.worker_id, float("-inf")) + NOTE_SECONDS:
            return
        with self.open_ledger(at_once=True) as ledger:
            ledger.claims.note_asking(claimant.worker_id, claimant.node_id, claimant.capabilities, claimant.only_scan)
            ledger.commit()
        self._noted_at[claimant.worker_id] = now


def fail_out_of_scope(open_ledger: OpenLedger, lease: Lease, outside: AddressSet) -> None:
    """Fail the scan of a lease, whose targets lost their authorisation, unless it has ended."""
    shown = ", ".join(outside.texts()[:3])
    error = f"{shown} is in no live scope any more (expired or removed). Add the scope again and resubmit."
    # A transaction of its own: lock order is scan before chunks, and the claim holds a chunk.
    with open_ledger() as ledger:
        if ledger.scans.fail(lease, error):
            ledger.commit()
