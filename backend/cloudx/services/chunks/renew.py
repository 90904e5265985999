"""Renew the leases of a worker, and learn which of its runs must end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cloudx.domain.identity import excluded_part, unauthorised_part
from cloudx.services.access.policy import PolicyCache, ScanPolicy
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import RunReport

from .claim import Claim, fail_out_of_scope


class RenewalResult(StrEnum):
    """What a renewal tells a run to do."""

    GO_ON = "go_on"
    DROP = "drop"  # stopped, deleted or leased to another: end the scanner; the ledger says if its output counts
    RELEASE = "release"  # an address was excluded: end the scanner, release the chunk


@dataclass(frozen=True)
class RunState:
    """A run as its worker reports it."""

    claim: Claim
    sent_share: float
    sending: bool


@dataclass(frozen=True)
class RenewLeases:
    """Extend the leases of a worker's runs."""

    open_ledger: OpenLedger
    policies: PolicyCache

    def __call__(self, runs: Sequence[RunState]) -> list[RenewalResult]:
        """Extend the leases of one worker, report progress, and re-check scope and exclusions; a result for each."""
        if not runs:
            return []
        reports = [RunReport(run.claim.lease, run.sent_share, run.sending) for run in runs]
        with self.open_ledger(at_once=True) as ledger:
            renewed = ledger.claims.renew(runs[0].claim.lease.worker_id, reports)
            ledger.commit()
        policy = self.policies.at(renewed.policy_version, self.open_ledger)
        return [
            self._result(run.claim, policy, renewed.now) if is_held else RenewalResult.DROP
            for run, is_held in zip(runs, renewed.held, strict=True)
        ]

    def _result(self, claim: Claim, policy: ScanPolicy, now: datetime) -> RenewalResult:
        outside = unauthorised_part(claim.addresses, policy.allowed(now, claim.scan.host_names))
        if outside:
            fail_out_of_scope(self.open_ledger, claim.lease, outside)
            return RenewalResult.DROP
        # It asks no name server: a renewal that waits for one could lose the lease.
        excluded = self.policies.excluded(policy, claim.scan.host_names, claim.scan.excluded_names)
        return RenewalResult.RELEASE if excluded_part(claim.addresses, excluded) else RenewalResult.GO_ON
