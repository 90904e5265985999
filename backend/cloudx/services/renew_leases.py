"""Renew a lease, and learn whether the run must end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cloudx.domain.addresses import AddressSet

from .claim_chunk import Claim, fail_out_of_scope
from .ports import OpenLedger
from .scan_policy import PolicyCache


class Order(StrEnum):
    """What a worker is told at renewal."""

    GO_ON = "go_on"
    DROP = "drop"  # stopped, deleted or taken over: end the scanner, throw the output away
    RELEASE = "release"  # an address was excluded meanwhile: end the scanner, give the chunk back


@dataclass(frozen=True)
class RenewLease:
    """The use case with what it needs."""

    open_ledger: OpenLedger
    policies: PolicyCache

    def __call__(self, claim: Claim, sent_share: float, sending: bool) -> Order:
        """Extend the lease, report progress, and re-check scope and exclusions."""
        with self.open_ledger() as ledger:
            if not ledger.chunks.renew(claim.lease, sent_share, sending):
                return Order.DROP
            policy = self.policies.current(ledger.policies)
            outside = claim.addresses - policy.allowed(ledger.now(), claim.scan.host_names)
            ledger.commit()
        if outside:
            self._fail_scan(claim, outside)
            return Order.DROP
        return Order.RELEASE if claim.addresses & policy.excluded() else Order.GO_ON

    def _fail_scan(self, claim: Claim, outside: AddressSet) -> None:
        # A transaction of its own: whoever locks a chunk and then its scan could meet one that does the reverse.
        with self.open_ledger() as ledger:
            scan = ledger.scans.lock(claim.scan.id)
            if scan is not None and not scan.status.is_final:
                fail_out_of_scope(ledger, scan, outside)
                ledger.commit()
