"""Scopes and exclusions, with a version that grows with every change, and canaries."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Delete, delete, insert, select, update
from typing_extensions import override

from cloudx.adapters.database.schema.tables import canaries, exclusions, policy_version, scopes
from cloudx.domain.addresses import AddressSet
from cloudx.domain.proof.canaries import Canary
from cloudx.domain.scopes import Exclusion, Scope
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
        return [Scope(**{**row, "targets": tuple(json.loads(row["targets"]))}) for row in rows]

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
    def add_scope(self, scope: Scope) -> None:
        self._connection.execute(insert(scopes).values(**{**vars(scope), "targets": json.dumps(scope.targets)}))
        self._bump()

    @override
    def add_exclusion(self, exclusion: Exclusion) -> None:
        stored = {"targets": json.dumps(exclusion.targets), "addresses": "\n".join(exclusion.addresses.texts())}
        self._connection.execute(insert(exclusions).values(**{**vars(exclusion), **stored}))
        self._bump()

    @override
    def delete_scope(self, scope_id: str) -> bool:
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

    def _bump(self) -> None:
        self._connection.execute(update(policy_version).values(version=policy_version.c.version + 1))
