"""What is older than it is kept, and its removal in parts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, literal_column, select, text, tuple_
from sqlalchemy.sql.elements import ColumnElement
from typing_extensions import override

from cloudx.adapters.database.schema.search_tables import sightings
from cloudx.adapters.database.schema.tables import attempts, audit, chunks, findings, follow_ups, hosts, scans
from cloudx.adapters.database.search.forgetting import lock_search
from cloudx.services.ledger.ids import first_id_at
from cloudx.services.ledger.old_records import OldRecords

# Whatever the statistics know: a sort of the whole scan for each batch, or a walk past all rows that are gone, takes
# a hundred times as long. What is switched off counts as so costly that PostgreSQL would compile it, for 0.3 s.
_OFF = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "jit")
_ALONG_THE_KEY = text("; ".join(f"SET LOCAL {setting} = off" for setting in _OFF))

# Where the primary key does not begin with the scan.
_ORDERS = {sightings.name: sightings.c["scan_id", "is_latest", "observed_at", "id"]}


class SqlOldRecords(OldRecords):
    """Implements OldRecords."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def scans_over_before(self, before: datetime, limit: int) -> list[str]:
        over = and_(scans.c.finished_at < before, scans.c.follows.is_(None))
        query = select(scans.c.id).where(over).order_by(scans.c.finished_at).limit(limit)
        return list(self._connection.execute(query).scalars())

    @override
    def count_scans_over_before(self, before: datetime) -> int:
        query = select(func.count()).select_from(scans).where(scans.c.finished_at < before, scans.c.follows.is_(None))
        return int(self._connection.execute(query).scalar_one())

    @override
    def remove_rows_of(self, scan_id: str, limit: int) -> int:
        """From the first of these tables that still has any.

        The chunks go first: from then on nothing proves any more that what the scan does not have was closed
        (Diffs.are_whole).
        """
        lock_search(self._connection)
        second = select(scans.c.followed_by).where(scans.c.id == scan_id, scans.c.followed_by.is_not(None))
        for stage in [scan_id, *self._connection.execute(second).scalars()]:
            for table in (chunks, sightings, attempts, findings, hosts, follow_ups):
                if removed := self._remove_some(table, table.c.scan_id == stage, limit):
                    return removed
        return 0

    @override
    def count_audit_before(self, before: datetime) -> int:
        query = select(func.count()).select_from(audit).where(audit.c.id < first_id_at(before))
        return int(self._connection.execute(query).scalar_one())

    @override
    def remove_audit_before(self, before: datetime, limit: int) -> int:
        return self._remove_some(audit, audit.c.id < first_id_at(before), limit)

    def _remove_some(self, table: Table, condition: ColumnElement[bool], limit: int) -> int:
        """The first of them by key; rows that another process is removing are left to it."""
        key = list(_ORDERS.get(table.name) or table.primary_key.columns)
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_ALONG_THE_KEY)
            # By their place: to look each key up again would take longer.
            place: ColumnElement[Any] = literal_column("ctid")
            some = select(place).select_from(table).where(condition).order_by(*key).limit(limit)
            chosen = place == func.any(func.array(some.with_for_update(skip_locked=True).scalar_subquery()))
        else:
            chosen = tuple_(*key).in_(select(*key).where(condition).order_by(*key).limit(limit))
        return self._connection.execute(delete(table).where(chosen)).rowcount
