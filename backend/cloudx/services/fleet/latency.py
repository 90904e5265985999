"""Measure how far away a machine without an agent is."""

from __future__ import annotations

from dataclasses import dataclass

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
NAMES_SECONDS = 1.0  # what a measurement waits for the addresses of excluded names
_THIS_MACHINE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - a name that people type, not a bind


def is_this_machine(target: str) -> bool:
    """True for the names of the machine that is asked; to tell its load costs nothing and probes nobody."""
    return target.strip().lower() in _THIS_MACHINE


@dataclass(frozen=True)
class MeasureLatency:
    """Probes one machine from here, if it is in scope."""

    open_ledger: OpenLedger
    resolver: Resolver
    policies: PolicyCache
    probe: LatencyProbe

    def __call__(self, target: str) -> list[RoundTrip]:
        """At most three answers, newest first; [] when it is silent. Raises InvalidInput or TargetOutOfScope."""
        address, host_names = self._address_of(target)
        with self.open_ledger(read_only=True) as ledger:
            policy = self.policies.current(ledger.policies)
            allowed = policy.allowed(ledger.now(), host_names)
        asked = AddressSet.of_addresses([address])
        if excluded_part(asked, self.policies.excluded(policy, host_names, (), NAMES_SECONDS)):
            raise TargetOutOfScope(f"{address} is excluded. `cloudx exclusions list` shows by what.")
        require_in_scope(asked, allowed)
        return self.probe.round_trips(address, PROBES)[::-1]

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
