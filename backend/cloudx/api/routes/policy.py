"""Scopes and exclusions: what may be scanned, and what never may."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cloudx.domain.scopes import Exclusion, Scope
from cloudx.domain.timing.hours import show_hours
from cloudx.services.access.edit_policy import add_scope, delete_exclusion, delete_scope

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.common import Message, error_responses
from ..schemas.policy import (
    ExclusionBody,
    ExclusionItem,
    ExclusionList,
    RecordPath,
    ScopeBody,
    ScopeItem,
    ScopeList,
)

scopes = resource("scopes", "/api/scopes")
exclusions = resource("exclusions", "/api/exclusions")


@scopes.get("", summary="List scopes", responses={200: ScopeList})
@access(Access.VIEWER)
def list_scopes() -> Any:
    """Expired ones included."""
    with deps().open_ledger(read_only=True) as ledger:
        now = ledger.now()
        return [_show_scope(scope, now) for scope in ledger.policies.scopes()]


@scopes.post("", summary="Authorise targets", responses={201: ScopeItem, **error_responses(413)})
@access(Access.ADMIN)
def create_scope(body: ScopeBody) -> Any:
    """From now until it expires."""
    scope = add_scope(
        deps().open_ledger,
        principal(),
        targets=tuple(body.targets),
        owner=body.owner,
        note=body.note,
        expires_at=body.expires_at,
        allowed_hours=body.allowed_hours.to_hours() if body.allowed_hours else None,
    )
    return _show_scope(scope, scope.created_at), 201


@scopes.delete("/<record_id>", summary="Withdraw a scope", responses={200: Message, **error_responses(404)})
@access(Access.ADMIN)
def remove_scope(path: RecordPath) -> Any:
    """Scans that rely on it end within seconds."""
    delete_scope(deps().open_ledger, principal(), path.record_id)
    return {"message": f"Scope {path.record_id} is withdrawn."}


@exclusions.get("", summary="List exclusions", responses={200: ExclusionList})
@access(Access.VIEWER)
def list_exclusions() -> Any:
    """All of them."""
    with deps().open_ledger(read_only=True) as ledger:
        return [_show_exclusion(exclusion) for exclusion in ledger.policies.exclusions()]


@exclusions.post("", summary="Forbid targets", responses={201: ExclusionItem, **error_responses(413)})
@access(Access.ADMIN)
def create_exclusion(body: ExclusionBody) -> Any:
    """From now on, in running scans too."""
    exclusion = deps().add_exclusion(principal(), targets=tuple(body.targets), note=body.note)
    return _show_exclusion(exclusion), 201


@exclusions.delete("/<record_id>", summary="Remove an exclusion", responses={200: Message, **error_responses(404)})
@access(Access.ADMIN)
def remove_exclusion(path: RecordPath) -> Any:
    """Its targets may be probed again."""
    delete_exclusion(deps().open_ledger, principal(), path.record_id)
    return {"message": f"Exclusion {path.record_id} is removed."}


def _show_scope(scope: Scope, now: datetime) -> dict[str, Any]:
    hours = scope.allowed_hours and show_hours(scope.allowed_hours)
    return {**vars(scope), "allowed_hours": hours, "live": scope.is_live(now)}


def _show_exclusion(exclusion: Exclusion) -> dict[str, Any]:
    return {name: getattr(exclusion, name) for name in ("id", "targets", "note", "created_at", "created_by")}
