"""The scopes and exclusions in force, parsed once for each change of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import chain

from cloudx.domain.addresses import AddressSet
from cloudx.domain.names import ExcludedName, HostNames, asked_by
from cloudx.domain.scopes import Exclusion, Scope, union_of, with_names
from cloudx.domain.targets import Targets
from cloudx.services.ledger.ledger import OpenLedger, Policies

from .names_now import NamesNow

_NOBODY: HostNames = {}


@dataclass(frozen=True)
class ScanPolicy:
    """What may be probed: live scopes minus exclusions."""

    scopes: tuple[Scope, ...]
    exclusions: tuple[Exclusion, ...]
    resolved: tuple[ExcludedName, ...] = ()  # the names of exclusions, and of open scans' own

    def allowed(self, now: datetime, named: HostNames) -> AddressSet:
        """The addresses live scopes authorise; `named` maps an address to the host names it was submitted as."""
        return with_names(_union(tuple(scope for scope in self.scopes if scope.is_live(now))), named)

    def excluded(self, named: HostNames = _NOBODY, own_names: Collection[str] = ()) -> AddressSet:
        """The addresses excluded by address, and those of every excluded name.

        A name excludes what it resolves to and, of the `named` addresses, those that were submitted as it.
        `own_names` are excluded by the scan itself.
        """
        own = frozenset(own_names) - self.names
        of_own = (self._by_name[name].ranges for name in own if name in self._by_name)
        by_name = AddressSet.of(chain.from_iterable(of_own)) | asked_by(named, self.names | own)
        return self._excluded | by_name if by_name else self._excluded

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that exclusions have."""
        return frozenset(chain.from_iterable(exclusion.host_names for exclusion in self.exclusions))

    @cached_property
    def _by_name(self) -> dict[str, AddressSet]:
        return {record.name: record.addresses() for record in self.resolved}

    @cached_property
    def _excluded(self) -> AddressSet:
        by_name = (self._by_name[name].ranges for name in self.names if name in self._by_name)
        by_address = (exclusion.addresses.ranges for exclusion in self.exclusions)
        return AddressSet.of(chain.from_iterable(chain(by_address, by_name)))


@lru_cache(maxsize=4)  # every claim and renewal needs the same union until a scope changes or expires
def _union(live: tuple[Scope, ...]) -> Targets:
    return union_of(scope.parsed() for scope in live)


class PolicyCache:
    """Re-reads the policy only when its version in the ledger has moved. Shared by threads."""

    def __init__(self, names_now: NamesNow | None = None) -> None:
        """`names_now` adds what the process's own resolver says of excluded names."""
        self._names_now = names_now or NamesNow()
        self._held = (-1, ScanPolicy((), ()))  # one attribute: a version is never seen beside another's policy

    def current(self, policies: Policies) -> ScanPolicy:
        """The policy as of this transaction."""
        version = policies.version()
        held = self._held
        if held[0] != version:
            parts = tuple(policies.scopes()), tuple(policies.exclusions()), tuple(policies.excluded_names())
            held = self._held = (version, ScanPolicy(*parts))
        return held[1]

    def excluded(
        self, policy: ScanPolicy, named: HostNames, own_names: Collection[str], ask_seconds: float = 0.0
    ) -> AddressSet:
        """As ScanPolicy.excluded, with what the names resolve to now: `ask_seconds` is how long that may take.

        With 0 it asks nobody, and goes by the last answers.
        """
        names = policy.names.union(own_names)
        look_up = self._names_now.look_up
        now = look_up(names, ask_seconds) if ask_seconds else self._names_now.known(names)
        excluded = policy.excluded(named, own_names)
        return excluded | now if now else excluded

    def at(self, version: int, open_ledger: OpenLedger) -> ScanPolicy:
        """The policy of a version that a claim or renewal has just seen, or a newer one."""
        held = self._held
        if held[0] == version:
            return held[1]
        with open_ledger(read_only=True) as ledger:
            return self.current(ledger.policies)
