"""Who probed an address then: the attempts that may have sent a packet to it, who asked, and by which scope's leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import InvalidInput
from cloudx.domain.scopes import Scope, authorising
from cloudx.domain.targets import parse_address
from cloudx.services.access.policy import PolicyCache, ScanPolicy
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.probes import AttemptAt

WINDOW_SECONDS = 300
MAX_WINDOW_SECONDS = 86_400
MAX_PROBES = 10_000


@dataclass(frozen=True)
class Probe:
    """An attempt that may have sent a packet to the address, and the scope that allowed it; None where not known."""

    attempt: AttemptAt
    scope: Scope | None


@dataclass(frozen=True)
class ProbesOf:
    """The probes of an address between two moments, in order of start."""

    ip: str
    since: datetime
    until: datetime
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class FindProbes:
    """Answers who probed an address."""

    open_ledger: OpenLedger
    policies: PolicyCache

    def __call__(self, ip: str, at: datetime | None = None, window_seconds: int = WINDOW_SECONDS) -> ProbesOf:
        """Look so many seconds each way around a moment, by default now. Raises InvalidInput naming the field."""
        address = parse_address(ip, "ip")
        if not 0 <= window_seconds <= MAX_WINDOW_SECONDS:
            raise InvalidInput("window", f"window is from 0 to {MAX_WINDOW_SECONDS:,} seconds.")
        with self.open_ledger(read_only=True) as ledger:
            at, window = at or ledger.now(), timedelta(seconds=window_seconds)
            since, until = at - window, at + window
            attempts = ledger.probes.attempts_at(address, since, until, MAX_PROBES + 1)
            policy = self.policies.current(ledger.policies)
            scopes = (*policy.scopes, *(ledger.policies.removed_scopes() if attempts else ()))
        if len(attempts) > MAX_PROBES:
            raise InvalidInput("window", f"More than {MAX_PROBES:,} attempts lie in that time. Ask for a shorter one.")
        target = AddressSet.of_addresses([address])
        probes = tuple(
            Probe(attempt, authorising(scopes, target, attempt.named, attempt.sending.started_at))
            for attempt in attempts
            if attempt.sending.may_have_sent(since, until) and not _left_out(attempt, target, policy)
        )
        return ProbesOf(str(address), since, until, probes)


def _left_out(attempt: AttemptAt, target: AddressSet, policy: ScanPolicy) -> bool:
    return any(attempt.sending.left_out(target, attempt.named, exclusion) for exclusion in policy.exclusions)
