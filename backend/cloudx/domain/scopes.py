"""Scopes say what may be scanned and who answers for it; exclusions say what never may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import chain

from .addresses import AddressSet
from .errors import TargetOutOfScope
from .identity import excluded_part, unauthorised_part
from .names import HostNames, asked_by
from .targets import Targets, parse_targets
from .timing.hours import AllowedHours

# What a fresh install may scan: loopback and private ranges (RFC 1918, RFC 6598 left out, RFC 4193, RFC 4291).
DEFAULT_SCOPE_TARGETS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7")
SHOWN_RANGES = 5


@dataclass(frozen=True)
class Scope:
    """Addresses and host names that somebody is authorised to have scanned, until it expires."""

    id: str
    targets: tuple[str, ...]
    owner: str
    note: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    allowed_hours: AllowedHours | None = None  # None: at any time

    def is_live(self, now: datetime) -> bool:
        """True until it expires."""
        return self.expires_at is None or now < self.expires_at

    def parsed(self) -> Targets:
        """Its targets as sets."""
        return parse_targets(self.targets, "targets")


@dataclass(frozen=True)
class Exclusion:
    """Addresses that are never probed, whatever the scope says."""

    id: str
    targets: tuple[str, ...]
    note: str
    created_at: datetime
    created_by: str
    addresses: AddressSet  # of what it names by address
    policy_version: int | None = None  # that came with it: claims that saw this or a later one left its targets out

    @cached_property
    def host_names(self) -> tuple[str, ...]:
        """What it names by name."""
        return parse_targets(self.targets, "targets").host_names


def union_of(several: Iterable[Targets]) -> Targets:
    """All that any of them has."""
    known = list(several)
    addresses = AddressSet.of(chain.from_iterable(targets.addresses.ranges for targets in known))
    return Targets(addresses, tuple(name for targets in known for name in targets.host_names))


def with_names(allowed: Targets, named: HostNames) -> AddressSet:
    """What is allowed by address, and of the `named` addresses those of which one name is allowed.

    `named` maps an address to the host names it was submitted as: a name in a scope
    allows the addresses it was resolved to for this scan, and no others.
    """
    if not named or not allowed.host_names:
        return allowed.addresses
    return allowed.addresses | asked_by(named, allowed.host_names)


def authorising(scopes: Iterable[Scope], target: AddressSet, named: HostNames, at: datetime) -> Scope | None:
    """The scope that allowed this one address then: of several the one with the fewest addresses, then the oldest.

    None where none of these scopes did by itself.
    """
    allowing = [
        (parsed.addresses.size, scope.created_at, scope.id, scope)
        for scope in scopes
        if scope.created_at <= at
        and scope.is_live(at)
        and not unauthorised_part(target, with_names(parsed := _parsed(scope.targets), named))
    ]
    return min(allowing)[-1] if allowing else None


def with_hours(scopes: Iterable[Scope], targets: AddressSet, named: HostNames, at: datetime) -> tuple[Scope, ...]:
    """The live scopes with hours that have any of these targets: the targets are probed only while all are open."""
    return tuple(
        scope
        for scope in scopes
        if scope.allowed_hours is not None
        and scope.is_live(at)
        and excluded_part(targets, with_names(_parsed(scope.targets), named))
    )


@lru_cache(maxsize=64)  # 100,000 targets take a second
def _parsed(targets: tuple[str, ...]) -> Targets:
    return parse_targets(targets, "targets")


def require_in_scope(targets: AddressSet, allowed: AddressSet) -> None:
    """Raise TargetOutOfScope, naming what is outside and how to add it."""
    outside = unauthorised_part(targets, allowed)
    if not outside:
        return
    shown = outside.texts()
    listed = ", ".join(shown[:SHOWN_RANGES]) + (" …" if len(shown) > SHOWN_RANGES else "")
    raise TargetOutOfScope(
        f"{listed} is in no scope. If you are authorised to scan it, an admin adds it with "
        f"`cloudx scopes add {shown[0]} --owner NAME --note WHY` or POST /api/scopes.",
        outside=shown[:SHOWN_RANGES],
    )
