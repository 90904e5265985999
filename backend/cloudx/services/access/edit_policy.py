"""Add and remove scopes and exclusions; every change is audited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import InvalidInput, NotFound
from cloudx.domain.scopes import DEFAULT_SCOPE_TARGETS, Exclusion, Scope
from cloudx.domain.targets import Targets, parse_targets
from cloudx.domain.timing.hours import AllowedHours
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger

from .excluded_names import keep_answers
from .ports import Resolver
from .resolve_names import NAMES_SECONDS, require_answers, resolve_names


def add_scope(
    open_ledger: OpenLedger,
    principal: Principal,
    *,
    targets: tuple[str, ...],
    owner: str,
    note: str,
    expires_at: datetime | None,
    allowed_hours: AllowedHours | None = None,
) -> Scope:
    """Authorise scanning of targets. Raises InvalidInput."""
    _require_some(targets)
    with open_ledger() as ledger:
        now = ledger.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("expires_at", "expires_at lies in the past. Give a later time, or none.")
        scope = Scope(new_id(), targets, owner, note, now, principal.name, expires_at, allowed_hours)
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
        """Forbid probing from now on, in running scans too. Raises InvalidInput or DependencyUnavailable."""
        parsed = _require_some(targets)
        answers = resolve_names(self.resolver, parsed.host_names, NAMES_SECONDS)
        require_answers(answers, "targets")
        with self.open_ledger() as ledger:
            keep_answers(ledger, answers)
            exclusion = Exclusion(new_id(), targets, note, ledger.now(), principal.name, parsed.addresses)
            ledger.policies.add_exclusion(exclusion)
            ledger.audit.record(principal, "exclusion.add", exclusion.id, targets=list(targets))
            ledger.commit()
            return exclusion


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


def _require_some(targets: tuple[str, ...]) -> Targets:
    parsed = parse_targets(targets, "targets")
    if not parsed:
        raise InvalidInput("targets", "No target given. Name at least one address, CIDR, range or host name.")
    return parsed
