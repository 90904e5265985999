"""Events in the order of their transactions' numbers, as far as all earlier transactions are over (docs/adr/0039)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    RowMapping,
    and_,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from typing_extensions import override

from cloudx.adapters.database.schema.event_tables import events, pruned_events
from cloudx.domain.events.event import Event, EventType, event_id, last_id_before, place_of
from cloudx.services.ledger.events import EventPage, Events

_COLUMNS = events.c["at", "state", "scan_id", "number", "attempt", "node_id", "detail"]
_KEY = (events.c.transaction_id, events.c.serial)
_OLDEST_OPEN = cast(literal_column("pg_snapshot_xmin(pg_current_snapshot())::text"), BigInteger)


class SqlEvents(Events):
    """Implements Events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def head(self) -> int:
        return last_id_before(self._first_untold())

    @override
    def page(self, after: int, limit: int) -> EventPage:
        first_untold = self._first_untold()
        head = last_id_before(first_untold)
        rows = self._rows(after, first_untold, limit)
        told = [_event(row) for row in rows]
        upto = told[-1].id if len(told) == limit else max(after, head)
        # Looked at last: what is pruned from here on was read above.
        pruned = self._pruned(first_untold)
        is_gone = pruned is not None and after < last_id_before(pruned + 1)
        return EventPage(told, upto, is_broken=is_gone or after > head)

    def _first_untold(self) -> int:
        """The lowest number of a transaction that may still commit events."""
        if self._connection.dialect.name == "postgresql":
            return int(self._connection.execute(select(_OLDEST_OPEN)).scalar_one())
        newest = select(func.max(events.c.transaction_id)).scalar_subquery()
        query = select(func.max(func.coalesce(newest, 0), pruned_events.c.transaction_id))
        return int(self._connection.execute(query).scalar_one()) + 1

    def _pruned(self, first_untold: int) -> int | None:
        """The newest transaction whose events are gone; None where there is none.

        A number that lies ahead is another server's: the database was moved.
        """
        pruned = int(self._connection.execute(select(pruned_events.c.transaction_id)).scalar_one())
        return pruned if 0 < pruned < first_untold else None

    def _rows(self, after: int, first_untold: int, limit: int) -> Sequence[RowMapping]:
        transaction_id, place = place_of(after)
        number = func.row_number().over(partition_by=events.c.transaction_id, order_by=events.c.serial)
        told = and_(events.c.transaction_id >= transaction_id, events.c.transaction_id < first_untold)
        numbered = select(*events.c, number.label("place")).where(told).subquery()
        is_later = or_(numbered.c.transaction_id > transaction_id, numbered.c.place > place)
        in_order = select(numbered).where(is_later).order_by(numbered.c.transaction_id, numbered.c.serial)
        return self._connection.execute(in_order.limit(limit)).mappings().all()

    @override
    def remove_before(self, before: datetime, limit: int) -> int:
        """By whole transactions. Two processes that remove at once wait for each other."""
        pruned = select(pruned_events.c.transaction_id).with_for_update()
        known = int(self._connection.execute(pruned).scalar_one())
        first_untold = self._first_untold()
        oldest = select(events.c.transaction_id, events.c.at).order_by(*_KEY).limit(limit).subquery()
        is_old = and_(oldest.c.at < before, oldest.c.transaction_id < first_untold)
        newest_of_them = self._connection.execute(select(func.max(oldest.c.transaction_id)).where(is_old)).scalar()
        if newest_of_them is None:
            return self._remove_foreign(before, first_untold)
        removed = self._connection.execute(delete(events).where(events.c.transaction_id <= newest_of_them)).rowcount
        upto = max(newest_of_them, known if known < first_untold else 0)
        self._connection.execute(update(pruned_events).values(transaction_id=upto))
        return int(removed)

    def _remove_foreign(self, before: datetime, first_untold: int) -> int:
        """Those of another server, whose transactions had higher numbers: nobody is told of them."""
        foreign = and_(events.c.transaction_id >= first_untold, events.c.at < before)
        return int(self._connection.execute(delete(events).where(foreign)).rowcount)


def _event(row: RowMapping) -> Event:
    told: dict[str, Any] = {column.name: row[column.name] for column in _COLUMNS}
    return Event(id=event_id(row["transaction_id"], row["place"]), type=EventType(row["type"]), **told)
