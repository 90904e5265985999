"""Conditions on the key of a finding (address, protocol, port), for the tables that have it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, FromClause, and_, literal, select, true, tuple_
from sqlalchemy import text as sql_text

from cloudx.adapters.database.schema.tables import findings
from cloudx.services.ledger.records import FindingKey
from cloudx.services.ledger.sightings import Stretch

_KEY = ("ip", "protocol", "port")
_TYPES = [findings.c[name].type for name in _KEY]
# Whatever the statistics know: a window is a short piece of the key's index, never all of the table.
_OFF = sql_text("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")


def along_the_key(connection: Connection) -> None:
    """Let PostgreSQL go along an index until the transaction ends."""
    connection.execute(_OFF)


def key_of(table: FromClause) -> list[ColumnElement[object]]:
    """Its columns."""
    return [table.c[name] for name in _KEY]


def same_key(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """True where both have the same key."""
    return and_(*(one.c[name] == other.c[name] for name in _KEY))


def has_row(table: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """True where the table has such a row, which is looked up by its key for each row of the statement around it.

    In place of EXISTS: PostgreSQL may turn that into a join. Of a new scan its statistics know nothing, so it takes the
    scan's rows for one, and reads all of them again for each row.
    """
    return select(literal(1)).select_from(table).where(*conditions).limit(1).scalar_subquery().is_not(None)


def beyond(table: FromClause, after: FindingKey | None) -> ColumnElement[bool]:
    """Behind a key; by the address too, which a planner guesses better."""
    if after is None:
        return true()
    is_behind: ColumnElement[bool] = tuple_(*key_of(table)) > tuple_(*after, types=_TYPES)
    return and_(table.c.ip >= after[0], is_behind)


def up_to(table: FromClause, to: FindingKey) -> ColumnElement[bool]:
    """At a key or before it."""
    is_before: ColumnElement[bool] = tuple_(*key_of(table)) <= tuple_(*to, types=_TYPES)
    return and_(table.c.ip <= to[0], is_before)


def within(table: FromClause, stretch: Stretch) -> ColumnElement[bool]:
    """In the stretch of a chunk."""
    in_ports = table.c.port.between(stretch.first_port, stretch.last_port)
    return and_(table.c.ip.between(stretch.first_ip, stretch.last_ip), in_ports)
