"""Claim a chunk: pick a scan, check it may still run, grant a rate, take the lease."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import Lease
from cloudx.domain.grants import Demand, grant_pps
from cloudx.domain.nodes import count_capable, missing_capability
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import ScanType

from .ports import Ledger, OpenLedger
from .records import WaitingScan
from .scan_policy import PolicyCache

COUNT_SECONDS = 5.0


@dataclass(frozen=True)
class Claimant:
    """Who asks for work, and what its machine can do."""

    worker_id: str
    node_id: str
    capabilities: tuple[str, ...]
    node_limit_pps: int
    only_scan: str | None = None


@dataclass(frozen=True)
class Claim:
    """A leased chunk with all that is needed to run it."""

    lease: Lease
    scan: Scan
    addresses: AddressSet  # of the chunk, minus what has been excluded since
    ports: PortSet | None
    excluded_units: int

    @property
    def units(self) -> int:
        """What the chunk covers, the excluded included."""
        return self.lease.span.units


@dataclass
class FleetSize:
    """How many nodes could share a scan's rate, counted anew every few seconds.

    Without it the first worker would take the whole rate, and win it back each time a chunk
    of its own ends, before any other had asked.
    """

    clock: Callable[[], float] = time.monotonic
    _counted: dict[ScanType, tuple[float, int]] = field(default_factory=dict)

    def of(self, ledger: Ledger, scan_type: ScanType) -> int:
        """The number as of the last COUNT_SECONDS."""
        until, count = self._counted.get(scan_type, (float("-inf"), 0))
        if self.clock() >= until:
            count = count_capable(ledger.nodes.all(), scan_type, ledger.now())
            self._counted[scan_type] = (self.clock() + COUNT_SECONDS, count)
        return count


@dataclass(frozen=True)
class ClaimChunk:
    """The use case with what it needs."""

    open_ledger: OpenLedger
    policies: PolicyCache
    fleet_size: FleetSize = field(default_factory=FleetSize)

    def __call__(self, claimant: Claimant) -> Claim | None:
        """Lease one chunk of the first scan that has work and rate to spare; None when there is nothing to do."""
        with self.open_ledger(read_only=True) as ledger:
            waiting = [scan.id for scan in ledger.scans.waiting() if _may_take(scan, claimant)]
        for scan_id in waiting:
            with self.open_ledger() as ledger:
                claim = self._claim_from(ledger, scan_id, claimant)
                ledger.commit()
            if claim:
                return claim
        return None

    def _claim_from(self, ledger: Ledger, scan_id: str, claimant: Claimant) -> Claim | None:
        scan = ledger.scans.lock(scan_id)  # one claim at a time per scan: the sum of grants stays true
        if scan is None or scan.status.is_final:
            return None
        rate = self._grant(ledger, scan, claimant)
        lease = ledger.chunks.lease_next(scan, claimant.worker_id, claimant.node_id, rate) if rate else None
        if lease is None:
            return None
        if scan.status is ScanStatus.SUBMITTED:
            scan = scan.moved_to(ScanStatus.RUNNING, ledger.now())
            ledger.scans.save_state(scan)
        return self._checked(ledger, scan, lease)

    def _grant(self, ledger: Ledger, scan: Scan, claimant: Claimant) -> int:
        now = ledger.chunks.sending_now(scan.id, claimant.node_id)
        return grant_pps(
            Demand(
                tool=scan.tool,
                scan_rate_pps=scan.rate_pps,
                scan_granted_pps=now.scan_granted_pps,
                node_limit_pps=claimant.node_limit_pps,
                node_granted_pps=now.node_granted_pps,
                workers=max(len(now.workers | {claimant.worker_id}), self.fleet_size.of(ledger, scan.type)),
                chunks_open=now.chunks_open,
            )
        )

    def _checked(self, ledger: Ledger, scan: Scan, lease: Lease) -> Claim | None:
        """The claim with the exclusions of now applied; a scan whose scope is gone fails here."""
        policy = self.policies.current(ledger.policies)
        asked = lease.span.addresses_of(scan)
        addresses = asked - policy.excluded()
        outside = addresses - policy.allowed(ledger.now(), scan.host_names)
        if outside:
            fail_out_of_scope(ledger, scan, outside)
            ledger.chunks.release(lease, "cancelled")
            return None
        excluded_units = (asked.size - addresses.size) * lease.span.port_count
        ports = lease.span.ports_of(scan)
        return Claim(lease, scan, addresses, ports, excluded_units)


def fail_out_of_scope(ledger: Ledger, scan: Scan, outside: AddressSet) -> None:
    """End a scan whose targets are authorised no longer."""
    shown = ", ".join(outside.texts()[:3])
    error = f"{shown} is in no live scope any more (expired or removed). Add the scope again and resubmit."
    ledger.scans.save_state(scan.moved_to(ScanStatus.FAILED, ledger.now(), error))
    ledger.chunks.cancel_pending(scan.id)


def _may_take(scan: WaitingScan, claimant: Claimant) -> bool:
    if claimant.only_scan not in (None, scan.id):
        return False
    return missing_capability(claimant.capabilities, scan.type) is None
