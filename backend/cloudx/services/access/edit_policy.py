"""Add and remove scopes and exclusions; every change is audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import InvalidInput, NotFound
from cloudx.domain.scopes import DEFAULT_SCOPE_TARGETS, Exclusion, Scope
from cloudx.domain.targets import Targets, parse_targets
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger

from .ports import Resolver


def add_scope(
    open_ledger: OpenLedger,
    principal: Principal,
    *,
    targets: tuple[str, ...],
    owner: str,
    note: str,
    expires_at: datetime | None,
) -> Scope:
    """Authorise scanning of targets. Raises InvalidInput."""
    _require_some(targets)
    with open_ledger() as ledger:
        now = ledger.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("expires_at", "expires_at lies in the past. Give a later time, or none.")
        scope = Scope(new_id(), targets, owner, note, now, principal.name, expires_at)
        ledger.policies.add_scope(scope)
        ledger.audit.record(principal, "scope.add", scope.id, targets=list(targets), owner=owner)
        ledger.commit()
        return scope


@dataclass(frozen=True)
class AddExclusion:
    """Forbid probing of targets."""

    open_ledger: OpenLedger
    resolver: Resolver

    def __call__(self, principal: Principal, *, targets: tuple[str, ...], note: str) -> Exclusion:
        """Forbid probing from now on, in running scans too. Raises InvalidInput."""
        _require_some(targets)
        addresses = self._addresses_of(parse_targets(targets, "targets"))
        with self.open_ledger() as ledger:
            exclusion = Exclusion(new_id(), targets, note, ledger.now(), principal.name, addresses)
            ledger.policies.add_exclusion(exclusion)
            ledger.audit.record(principal, "exclusion.add", exclusion.id, targets=list(targets))
            ledger.commit()
            return exclusion

    def _addresses_of(self, targets: Targets) -> AddressSet:
        addresses = targets.addresses
        for name in targets.host_names:
            resolved = self.resolver.resolve(name)
            if not resolved:
                raise InvalidInput("targets", f"The host name {name!r} has no address. Give the address itself.")
            addresses = addresses | AddressSet.of_addresses(resolved)
        return addresses


def delete_scope(open_ledger: OpenLedger, principal: Principal, scope_id: str) -> None:
    """Withdraw a scope; scans that relied on it end within seconds. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.policies.delete_scope(scope_id):
            raise NotFound(f"There is no scope {scope_id[:64]!r}. `cloudx scopes list` shows them.")
        ledger.audit.record(principal, "scope.delete", scope_id)
        ledger.commit()


def delete_exclusion(open_ledger: OpenLedger, principal: Principal, exclusion_id: str) -> None:
    """Allow probing of its targets again. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.policies.delete_exclusion(exclusion_id):
            raise NotFound(f"There is no exclusion {exclusion_id[:64]!r}. `cloudx exclusions list` shows them.")
        ledger.audit.record(principal, "exclusion.delete", exclusion_id)
        ledger.commit()


def ensure_first_scope(open_ledger: OpenLedger) -> None:
    """Give a fresh install its one scope, loopback and private ranges; once, so that deleting it lasts."""
    with open_ledger() as ledger:
        if ledger.policies.lock() == 0:
            principal = Principal("setup", Role.ADMIN)
            scope = Scope(
                new_id(),
                DEFAULT_SCOPE_TARGETS,
                "setup",
                "Loopback and private ranges, made by the first start.",
                ledger.now(),
                principal.name,
            )
            ledger.policies.add_scope(scope)
            ledger.audit.record(principal, "scope.add", scope.id, targets=list(DEFAULT_SCOPE_TARGETS))
            ledger.commit()


def _require_some(targets: tuple[str, ...]) -> None:
    if not parse_targets(targets, "targets"):
        raise InvalidInput("targets", "No target given. Name at least one address, CIDR, range or host name.")
