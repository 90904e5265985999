"""Host names: which name an address was asked by, and what an excluded name has resolved to."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from .addresses import Address, AddressSet, from_key, to_key
from .findings import AnyFinding, Finding, Found, each

# An excluded name keeps an address for so long after its last answer with it: many names give another part of their
# addresses at each question.
KEEP_SECONDS = 3600.0

HostNames = Mapping[str, tuple[str, ...]]  # an address as text → every name that it was asked by, in order


class Family(StrEnum):
    """Which addresses of a name are scanned."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"
    BOTH = "both"


def of_family(addresses: Iterable[Address], family: Family) -> list[Address]:
    """Those of a family; an IPv4-mapped address is IPv4."""
    folded = [from_key(to_key(address)) for address in addresses]
    if family is Family.BOTH:
        return folded
    return [address for address in folded if (address.version == 4) == (family is Family.IPV4)]


def asked_by(host_names: HostNames, names: Collection[str]) -> AddressSet:
    """The addresses that were asked by one of the names, whatever other names they were asked by."""
    if not names:
        return AddressSet()
    wanted = frozenset(names)
    found = (ipaddress.ip_address(text) for text, asked in host_names.items() if not wanted.isdisjoint(asked))
    return AddressSet.of_addresses(found)


def with_host_names(findings: Iterable[Found], host_names: HostNames) -> Iterator[AnyFinding]:
    """The findings with the names that their addresses were asked by: `hostname`, and `hostnames` where several."""
    for finding in each(findings):
        names = host_names.get(finding.ip)
        if names is None:
            yield finding
            continue
        hostname, several = finding.hostname or names[0], {"hostnames": list(names)} if len(names) > 1 else {}
        if isinstance(finding, Finding):
            extra = {**finding.extra, **several} if several else finding.extra  # a shared extra stays shared
            yield finding._replace(hostname=hostname, extra=extra)
        else:
            yield replace(finding, hostname=hostname, extra=finding.extra | several)


@dataclass(frozen=True)
class ExcludedName:
    """A name that is excluded, with the addresses it has had."""

    name: str
    resolved_at: datetime  # when it was last asked for, answered or not
    seen: Mapping[str, datetime] = field(default_factory=dict)  # an address as text → when it was last in an answer

    def addresses(self) -> AddressSet:
        """Every address that it stands for."""
        return AddressSet.of_texts(self.seen)

    def asked(self, answer: Iterable[Address], now: datetime) -> ExcludedName:
        """After one more look-up. Without an answer it keeps what it has."""
        new = {str(from_key(to_key(address))): now for address in answer}
        if not new:
            return replace(self, resolved_at=now)
        oldest = now - timedelta(seconds=KEEP_SECONDS)
        return replace(self, resolved_at=now, seen={a: at for a, at in self.seen.items() if at > oldest} | new)
