"""The scopes and exclusions in force, parsed once for each change of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import chain

from cloudx.domain.addresses import AddressSet
from cloudx.domain.scopes import Exclusion, Scope, union_of, with_names
from cloudx.domain.targets import Targets
from cloudx.services.ledger.ledger import OpenLedger, Policies


@dataclass(frozen=True)
class ScanPolicy:
    """What may be probed: live scopes minus exclusions."""

    scopes: tuple[Scope, ...]
    exclusions: tuple[Exclusion, ...]

    def allowed(self, now: datetime, named: dict[str, str]) -> AddressSet:
        """The addresses live scopes authorise; `named` maps an address to the host name it was submitted as."""
        return with_names(_union(tuple(scope for scope in self.scopes if scope.is_live(now))), named)

    def excluded(self) -> AddressSet:
        """The excluded addresses."""
        return self._excluded

    @cached_property
    def _excluded(self) -> AddressSet:
        return AddressSet.of(chain.from_iterable(exclusion.addresses.ranges for exclusion in self.exclusions))


@lru_cache(maxsize=4)  # every claim and renewal needs the same union until a scope changes or expires
def _union(live: tuple[Scope, ...]) -> Targets:
    return union_of(scope.parsed() for scope in live)


class PolicyCache:
    """Re-reads the policy only when its version in the ledger has moved. Shared by threads."""

    def __init__(self) -> None:
        self._held = (-1, ScanPolicy((), ()))  # one attribute: a version is never seen beside another's policy

    def current(self, policies: Policies) -> ScanPolicy:
        """The policy as of this transaction."""
        version = policies.version()
        held = self._held
        if held[0] != version:
            held = self._held = (version, ScanPolicy(tuple(policies.scopes()), tuple(policies.exclusions())))
        return held[1]

    def at(self, version: int, open_ledger: OpenLedger) -> ScanPolicy:
        """The policy of a version that a claim or renewal has just seen, or a newer one."""
        held = self._held
        if held[0] == version:
            return held[1]
        with open_ledger(read_only=True) as ledger:
            return self.current(ledger.policies)
