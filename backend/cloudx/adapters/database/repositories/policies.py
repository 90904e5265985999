"""Scopes and exclusions, with a version that moves at every change."""

from __future__ import annotations

import json

from sqlalchemy import Connection, Delete, delete, insert, select, update

from cloudx.adapters.database.schema.tables import exclusions, policy_version, scopes
from cloudx.domain.addresses import AddressSet
from cloudx.domain.scopes import Exclusion, Scope


class SqlPolicies:
    """Implements services.ports.Policies."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def version(self) -> int:
        """0 on a fresh database; grows with every change."""
        return int(self._connection.execute(select(policy_version.c.version)).scalar_one())

    def lock(self) -> int:
        """The version, locked until the transaction ends."""
        return int(self._connection.execute(select(policy_version.c.version).with_for_update()).scalar_one())

    def scopes(self) -> list[Scope]:
        """Every scope, oldest first, expired ones included."""
        rows = self._connection.execute(select(scopes).order_by(scopes.c.id)).mappings()
        return [Scope(**{**row, "targets": tuple(json.loads(row["targets"]))}) for row in rows]

    def exclusions(self) -> list[Exclusion]:
        """Every exclusion, oldest first."""
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

    def add_scope(self, scope: Scope) -> None:
        """Keep a scope."""
        self._connection.execute(insert(scopes).values(**{**vars(scope), "targets": json.dumps(scope.targets)}))
        self._bump()

    def add_exclusion(self, exclusion: Exclusion) -> None:
        """Keep an exclusion."""
        stored = {"targets": json.dumps(exclusion.targets), "addresses": "\n".join(exclusion.addresses.texts())}
        self._connection.execute(insert(exclusions).values(**{**vars(exclusion), **stored}))
        self._bump()

    def delete_scope(self, scope_id: str) -> bool:
        """Remove one; False when there was none."""
        return self._delete(delete(scopes).where(scopes.c.id == scope_id))

    def delete_exclusion(self, exclusion_id: str) -> bool:
        """Remove one; False when there was none."""
        return self._delete(delete(exclusions).where(exclusions.c.id == exclusion_id))

    def _delete(self, statement: Delete) -> bool:
        found = bool(self._connection.execute(statement).rowcount)
        if found:
            self._bump()
        return found

    def _bump(self) -> None:
        self._connection.execute(update(policy_version).values(version=policy_version.c.version + 1))
