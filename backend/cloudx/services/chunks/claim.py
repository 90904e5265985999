"""Claim a chunk: pick a scan, share out its rate, take the lease, check that it may still run."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import Lease
from cloudx.domain.identity import excluded_part, unauthorised_part
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.access.policy import PolicyCache
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import Asking, ClaimRequest, Leased, Refusal, WaitingScan

from .queue import Claimant, QueueCache

MAX_FULL = 8  # scans in a row for which the node has no room, before a claim stops asking
NAMES_SECONDS = 1.0  # what a claim waits for the addresses of excluded names: its lease runs meanwhile
LOOKS_WHERE_REFUSED = 10  # of a worker that a scan's rate keeps out, for one of a worker that finds no scan
NOTE_SECONDS = 1.0  # a worker without work is noted at most this often


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


@dataclass(frozen=True)
class ClaimChunk:
    """Lease chunks for the workers of one process."""

    open_ledger: OpenLedger
    policies: PolicyCache
    queue: QueueCache = field(default_factory=QueueCache)
    _noted_at: dict[str, float] = field(default_factory=dict)  # by worker

    def __call__(self, claimant: Claimant, sated: Collection[str] = (), rest_seconds: float = 0.0) -> Claim | None:
        """Lease one chunk of the first scan in turn with work and rate to spare; None when there is nothing to do.

        The worker has enough of the scans that are `sated`. After a look in vain it may rest for `rest_seconds`
        (see rest_of): until it looks again it counts among those who would take part.
        """
        refusals: list[Refusal] = []
        while True:
            is_fresh_look = not self.queue.is_fresh(claimant)
            if is_fresh_look:
                with self.open_ledger(read_only=True, at_once=True) as ledger:
                    self.queue.read(ledger, claimant)
            for scan in self.queue.in_turn(claimant):
                if scan.id in sated:
                    continue
                answer = self._claim_from(scan, claimant)
                if isinstance(answer, Claim):
                    return answer
                refusals.append(answer)
                if refusals[-MAX_FULL:] == [Refusal.NODE_FULL] * MAX_FULL:
                    break
            if is_fresh_look:
                break
            self.queue.read_at = -math.inf  # the known queue had nothing: read it again before giving up
        self._note_refusals(refusals, claimant, self.rest_of(claimant, rest_seconds), has_work=bool(sated))
        return None

    def rest_of(self, claimant: Claimant, rest_seconds: float) -> float:
        """What a worker takes of its rest after a look in vain: all where it found no scan, else a part of it."""
        return rest_seconds / LOOKS_WHERE_REFUSED if self.queue.in_turn(claimant) else rest_seconds

    def _claim_from(self, waiting: WaitingScan, claimant: Claimant) -> Claim | Refusal:
        with self.open_ledger(at_once=True) as ledger:
            share = self.queue.share_of(waiting, claimant, ledger)
            if share == 0:
                return Refusal.NODE_FULL
            room = self.queue.room_for(waiting, claimant, ledger)
            whole = self.queue.whole(waiting.id, ledger)
            has_caps = whole is not None and bool(whole.rate_per_prefix)
            request = ClaimRequest(waiting.id, claimant.worker_id, claimant.node_id, share, room, has_caps)
            leased = ledger.claims.claim(request)
            if isinstance(leased, Refusal):
                return leased
            ledger.commit()
            self.queue.count_claim(leased)
            scan = self.queue.whole(waiting.id, ledger)
        if scan is None:
            return Refusal.OVER
        return self._checked(replace(scan, status=ScanStatus.RUNNING), leased)

    def _note_refusals(
        self, refusals: Sequence[Refusal], claimant: Claimant, rests_seconds: float, *, has_work: bool
    ) -> None:
        """Note the worker where it lacks work.

        A worker of all scans whose node is full has some already: noting it would take rate from others.
        """
        lacks_work = not refusals and not has_work
        is_kept_out = bool(claimant.only_scan) and Refusal.NODE_FULL in refusals
        if lacks_work or is_kept_out or Refusal.NO_RATE in refusals:
            self._note_request(claimant, rests_seconds)

    def _checked(self, scan: Scan, leased: Leased) -> Claim | Refusal:
        """Apply the current exclusions to a lease; fail the scan if its scope is gone."""
        lease, policy = leased.lease, self.policies.at(leased.policy_version, self.open_ledger)
        assigned, ports = self._covered(scan, lease)
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
        return Claim(lease, scan, addresses, ports, excluded_units)

    def _covered(self, scan: Scan, lease: Lease) -> tuple[AddressSet, PortSet | None]:
        if scan.follows is None:
            return lease.span.addresses_of(scan), lease.span.ports_of(scan)
        with self.open_ledger(read_only=True) as ledger:
            part = ledger.stages.part_of(scan.id, lease.span)
        return part.addresses, part.ports

    def _note_request(self, claimant: Claimant, rests_seconds: float) -> None:
        """Note a worker without work, so that the next claims leave it a share."""
        now = self.queue.clock()
        if rests_seconds <= NOTE_SECONDS and now < self._noted_at.get(claimant.worker_id, float("-inf")) + NOTE_SECONDS:
            return
        asking = Asking(claimant.worker_id, claimant.node_id, claimant.capabilities, claimant.only_scan, rests_seconds)
        with self.open_ledger(at_once=True) as ledger:
            ledger.claims.note_asking(asking)
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
