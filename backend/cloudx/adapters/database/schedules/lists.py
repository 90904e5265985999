"""Named lists of targets."""

from __future__ import annotations

import json

from sqlalchemy import Connection, RowMapping, delete, insert, select
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import plain
from cloudx.adapters.database.schema.tables import target_lists
from cloudx.services.ledger.lists import TargetList, TargetLists


class SqlTargetLists(TargetLists):
    """Implements TargetLists."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def all(self) -> list[TargetList]:
        rows = self._connection.execute(select(target_lists).order_by(target_lists.c.id)).mappings()
        return [_list_of(row) for row in rows]

    @override
    def named(self, name: str) -> TargetList | None:
        query = select(target_lists).where(target_lists.c.name == plain(name))
        row = self._connection.execute(query).mappings().first()
        return _list_of(row) if row else None

    @override
    def add(self, made: TargetList) -> None:
        """The unique name lets only one request win."""
        self._connection.execute(insert(target_lists).values(**{**vars(made), "targets": json.dumps(made.targets)}))

    @override
    def delete(self, list_id: str) -> bool:
        return bool(self._connection.execute(delete(target_lists).where(target_lists.c.id == list_id)).rowcount)


def _list_of(row: RowMapping) -> TargetList:
    return TargetList(**{**row, "targets": tuple(json.loads(row["targets"]))})
