"""Scopes and exclusions, with a version that grows with every change, and canaries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Delete, RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import (
    canaries,
    excluded_names,
    exclusions,
    policy_version,
    removed_scopes,
    scopes,
)
from cloudx.domain.addresses import AddressSet
from cloudx.domain.names import ExcludedName
from cloudx.domain.proof.canaries import Canary
from cloudx.domain.scopes import Exclusion, Scope
from cloudx.domain.timing.hours import parse_hours, show_hours
from cloudx.services.ledger.ledger import Policies


class SqlPolicies(Policies):
    """Implements Policies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def version(self) -> int:
        return int(self._connection.execute(select(policy_version.c.version)).scalar_one())

    @override
    def lock(self) -> int:
        return int(self._connection.execute(select(policy_version.c.version).with_for_update()).scalar_one())

    @override
    def scopes(self) -> list[Scope]:
        rows = self._connection.execute(select(scopes).order_by(scopes.c.id)).mappings()
        return [_scope_of(row) for row in rows]

    @override
    def removed_scopes(self) -> list[Scope]:
        rows = self._connection.execute(select(removed_scopes).order_by(removed_scopes.c.id)).mappings()
        return [_ended_scope_of(row) for row in rows]

    @override
    def exclusions(self) -> list[Exclusion]:
        rows = self._connection.execute(select(exclusions).order_by(exclusions.c.id)).mappings()
        return [
            Exclusion(
                **{
                    **row,
                    "targets": tuple(json.loads(row["targets"])),
                    "addresses": AddressSet.of_texts(row["addresses"].splitlines()),
                }
            )
            for row in rows
        ]

    @override
    def excluded_names(self) -> list[ExcludedName]:
        rows = self._connection.execute(select(excluded_names).order_by(excluded_names.c.name))
        return [ExcludedName(row.name, row.resolved_at, _times(row.seen)) for row in rows]

    @override
    def save_names(self, records: Iterable[ExcludedName], *, is_change: bool) -> None:
        """One statement for all."""
        rows = [
            {
                "name": record.name,
                "resolved_at": record.resolved_at,
                "seen": json.dumps({address: at.isoformat() for address, at in record.seen.items()}),
            }
            for record in records
        ]
        if rows:
            upsert = (postgresql if self._connection.dialect.name == "postgresql" else sqlite).insert(excluded_names)
            new = {"seen": upsert.excluded.seen, "resolved_at": upsert.excluded.resolved_at}
            self._connection.execute(upsert.on_conflict_do_update(index_elements=["name"], set_=new), rows)
        if is_change:
            self._bump()

    @override
    def forget_names(self, names: Collection[str]) -> None:
        gone = [{"gone": name} for name in names]
        if gone:
            self._connection.execute(delete(excluded_names).where(excluded_names.c.name == bindparam("gone")), gone)

    @override
    def add_scope(self, scope: Scope) -> None:
        hours = scope.allowed_hours and json.dumps(show_hours(scope.allowed_hours))
        stored = {**vars(scope), "targets": json.dumps(scope.targets), "allowed_hours": hours}
        self._connection.execute(insert(scopes).values(**stored))
        self._bump()

    @override
    def add_exclusion(self, exclusion: Exclusion) -> None:
        stored = {"targets": json.dumps(exclusion.targets), "addresses": "\n".join(exclusion.addresses.texts())}
        self._connection.execute(
            insert(exclusions).values(
                id=exclusion.id,
                note=exclusion.note,
                created_at=exclusion.created_at,
                created_by=exclusion.created_by,
                policy_version=self._bump(),
                **stored,
            )
        )

    @override
    def delete_scope(self, scope_id: str) -> bool:
        its_row = select(*scopes.c, db_now()).where(scopes.c.id == scope_id)
        names = [*(column.name for column in scopes.c), "removed_at"]
        self._connection.execute(insert(removed_scopes).from_select(names, its_row))
        return self._delete(delete(scopes).where(scopes.c.id == scope_id))

    @override
    def delete_exclusion(self, exclusion_id: str) -> bool:
        return self._delete(delete(exclusions).where(exclusions.c.id == exclusion_id))

    @override
    def canaries(self) -> list[Canary]:
        rows = self._connection.execute(select(canaries).order_by(canaries.c.id)).mappings()
        return [Canary(**row) for row in rows]

    @override
    def add_canary(self, canary: Canary) -> None:
        self._connection.execute(insert(canaries).values(**vars(canary)))

    @override
    def delete_canary(self, canary_id: str) -> bool:
        return bool(self._connection.execute(delete(canaries).where(canaries.c.id == canary_id)).rowcount)

    def _delete(self, statement: Delete) -> bool:
        is_deleted = bool(self._connection.execute(statement).rowcount)
        if is_deleted:
            self._bump()
        return is_deleted

    def _bump(self) -> int:
        moved = update(policy_version).values(version=policy_version.c.version + 1)
        return int(self._connection.execute(moved.returning(policy_version.c.version)).scalar_one())


def _scope_of(row: RowMapping | dict[str, Any]) -> Scope:
    hours = row["allowed_hours"] and parse_hours(json.loads(row["allowed_hours"]))
    return Scope(**{**row, "targets": tuple(json.loads(row["targets"])), "allowed_hours": hours})


def _ended_scope_of(row: RowMapping) -> Scope:
    """As if it had expired when it was removed."""
    kept = {name: value for name, value in row.items() if name != "removed_at"}
    return _scope_of(kept | {"expires_at": min(row["expires_at"] or row["removed_at"], row["removed_at"])})


def _times(document: str) -> dict[str, datetime]:
    return {address: datetime.fromisoformat(at) for address, at in json.loads(document).items()}
