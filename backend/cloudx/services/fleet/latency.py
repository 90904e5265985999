"""Measure how far away a machine without an agent is."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import Address, AddressSet, from_key, to_key
from cloudx.domain.errors import InvalidInput, TargetOutOfScope
from cloudx.domain.identity import excluded_part
from cloudx.domain.names import HostNames
from cloudx.domain.scopes import require_in_scope
from cloudx.domain.targets import parse_targets
from cloudx.services.access.policy import PolicyCache
from cloudx.services.access.ports import Resolver
from cloudx.services.ledger.ledger import OpenLedger

from .ports import LatencyProbe, RoundTrip

PROBES = 3
AUDIT_SECONDS = 600.0
MAX_TOLD = 1024
NAMES_SECONDS = 1.0  # what a measurement waits for the addresses of excluded names
_THIS_MACHINE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - a name that people type, not a bind


def is_this_machine(target: str) -> bool:
    """True for the names of the machine that is asked; to tell its load costs nothing and probes nobody."""
    return target.strip().lower() in _THIS_MACHINE


@dataclass
class Told:
    """Who was told lately to probe what: a page that polls would fill the audit."""

    seconds: float = AUDIT_SECONDS
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict)

    def is_due(self, who: str, address: str) -> bool:
        """True where it was not noted, or long ago."""
        return self.clock() - self._known.get((who, address), float("-inf")) >= self.seconds

    def note(self, who: str, address: str) -> None:
        """It is in the audit now; over the bound the oldest is forgotten, and told again."""
        self._known.pop((who, address), None)
        self._known[who, address] = self.clock()
        if len(self._known) > MAX_TOLD:
            self._known.popitem(last=False)


@dataclass(frozen=True)
class MeasureLatency:
    """Probes one machine from here, if it is in scope."""

    open_ledger: OpenLedger
    resolver: Resolver
    policies: PolicyCache
    probe: LatencyProbe
    told: Told = field(default_factory=Told)

    def __call__(self, target: str, principal: Principal) -> list[RoundTrip]:
        """At most three answers, newest first; [] when it is silent.

        Takes an operator. Who probed what is in the audit before the first probe leaves, once in ten minutes of polls.
        Raises InvalidInput, Forbidden or TargetOutOfScope.
        """
        principal.require(Role.OPERATOR)
        address, host_names = self._address_of(target)
        with self.open_ledger(read_only=True) as ledger:
            policy = self.policies.current(ledger.policies)
            allowed = policy.allowed(ledger.now(), host_names)
        asked = AddressSet.of_addresses([address])
        if excluded_part(asked, self.policies.excluded(policy, host_names, (), NAMES_SECONDS)):
            raise TargetOutOfScope(f"{address} is excluded. `cloudx exclusions list` shows by what.")
        require_in_scope(asked, allowed)
        self._tell(principal, target, address)
        return self.probe.round_trips(address, PROBES)[::-1]

    def _tell(self, principal: Principal, target: str, address: Address) -> None:
        """Put it in the audit, unless this process has done so lately."""
        if not self.told.is_due(principal.key, str(address)):
            return
        with self.open_ledger() as ledger:
            ledger.audit.record(principal, "monitor.probe", str(address), target=target)
            ledger.commit()
        self.told.note(principal.key, str(address))

    def _address_of(self, target: str) -> tuple[Address, HostNames]:
        """The one address to probe, and the host names it came from by its text."""
        targets = parse_targets(target, "target")
        if targets.addresses.size + len(targets.host_names) != 1:
            raise InvalidInput("target", "Name one machine to measure: localhost, an address or a host name.")
        if targets.addresses:
            return next(iter(targets.addresses)), {}
        name = targets.host_names[0]
        addresses = self.resolver.resolve(name)
        if not addresses:
            raise InvalidInput("target", f"The host name {name!r} has no address. Check it, or give the address.")
        return addresses[0], {str(from_key(to_key(addresses[0]))): (name,)}
