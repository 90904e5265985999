"""Whether an attempt at a chunk may have sent a packet to one of its addresses, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.identity import excluded_part
from cloudx.domain.names import HostNames, asked_by
from cloudx.domain.scopes import Exclusion

# It ended before a scanner was started: no way leads there from the node, or the scope was gone.
_SENT_NOTHING = frozenset({"unreachable", "cancelled"})
# The ledger ended it by itself. The worker learns of it at its next renewal, or when it cannot renew.
_ENDED_BY_THE_LEDGER = frozenset({"lost", "recut"})
_UNTOLD = timedelta(seconds=LEASE_SECONDS)


@dataclass(frozen=True)
class Sending:
    """From when to when an attempt went on, how it ended (None: it has not), and the policy that its claim saw."""

    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    policy_version: int | None = None  # None: not known, of attempts of older versions

    def may_have_sent(self, since: datetime, until: datetime) -> bool:
        """True unless it is known that nothing of it left between the two moments."""
        if self.outcome in _SENT_NOTHING or self.started_at > until:
            return False
        if self.ended_at is None:
            return True
        untold = _UNTOLD if self.outcome in _ENDED_BY_THE_LEDGER else timedelta()
        return self.ended_at + untold >= since

    def left_out(self, target: AddressSet, named: HostNames, exclusion: Exclusion) -> bool:
        """True if its claim is known to have left out this one address for this exclusion.

        By address, or as one of the names that the address was submitted as. What an excluded name resolved to at that
        moment is not known any more.
        """
        if self.policy_version is None or exclusion.policy_version is None:
            return False
        if exclusion.policy_version > self.policy_version:
            return False
        by_name = asked_by(named, exclusion.host_names) if named else AddressSet()
        return bool(excluded_part(target, exclusion.addresses) or by_name & target)
