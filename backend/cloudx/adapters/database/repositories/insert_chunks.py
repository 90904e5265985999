"""New chunks in bulk: a /8 makes 100,000 of them while the request for its scan waits for the answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice
from typing import Any

import psycopg2
from psycopg2.extensions import get_wait_callback
from psycopg2.extras import execute_values
from sqlalchemy import Connection

from cloudx.adapters.database.connection.outages import has_lost_its_rights, outage
from cloudx.adapters.database.schema.tables import chunks
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.errors import DependencyUnavailable

_BATCH = 10_000
_SPAN_COLUMNS = ("scan_id", "number", "address_start", "address_count", "port_start", "port_count", "claim_order")
_ZONE_COLUMNS = ("zone", "zone_limit_pps")
_DEFAULTS: dict[str, Any] = {
    column.name: column.default.arg  # type: ignore[attr-defined]  # a constant in each of them
    for column in chunks.c
    if column.default is not None
}
_COLUMN_COUNT = len(_SPAN_COLUMNS) + len(_ZONE_COLUMNS) + len(_DEFAULTS)
_COLUMNS = ", ".join((*_SPAN_COLUMNS, *_ZONE_COLUMNS, *_DEFAULTS))
_INSERT_VALUES = f"INSERT INTO chunks ({_COLUMNS}) VALUES %s"  # noqa: S608
_COPY = f"COPY chunks ({_COLUMNS}) FROM STDIN"
_INSERT = f"INSERT INTO chunks ({_COLUMNS}) VALUES ({', '.join('?' * _COLUMN_COUNT)})"  # noqa: S608
Row = tuple[Any, ...]


def insert_chunks(
    connection: Connection, scan_id: str, spans: Iterable[ChunkSpan], claim_orders: Iterable[int]
) -> None:
    """Write new pending chunks, each with its claim order, within the connection's transaction.

    Raises DependencyUnavailable.
    """
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy sees no statement below, and would have nothing to commit
    if connection.dialect.name == "postgresql":
        _copy(connection, _rows(scan_id, spans, claim_orders))
    else:
        to_id = chunks.c.scan_id.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        _insert(connection, _rows(to_id(scan_id) if to_id else scan_id, spans, claim_orders))


def _rows(scan_id: Any, spans: Iterable[ChunkSpan], claim_orders: Iterable[int]) -> Iterator[Row]:
    for span, claim_order in zip(spans, claim_orders, strict=True):
        yield (
            scan_id, span.number, span.address_start, span.address_count, span.port_start, span.port_count,
            claim_order, span.zone, span.zone_limit_pps,
        )  # fmt: skip


def _copy(connection: Connection, rows: Iterator[Row]) -> None:
    # No default holds a tab, a backslash or a line end, so nothing needs escaping.
    numbers = ["%d"] * (len(_SPAN_COLUMNS) - 1)
    line = "\t".join(["%s", *numbers, *["%s"] * len(_ZONE_COLUMNS), *map(str, _DEFAULTS.values())]) + "\n"
    cursor = connection.connection.cursor()
    try:
        if get_wait_callback() is not None:  # under gevent psycopg2 refuses COPY
            while batch := [row + tuple(_DEFAULTS.values()) for row in islice(rows, _BATCH)]:
                execute_values(cursor, _INSERT_VALUES, batch, page_size=_BATCH)
        while lines := "".join([line % _copied(row) for row in islice(rows, _BATCH)]):
            cursor.copy_expert(_COPY, StringIO(lines))
    except psycopg2.Error as error:
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) or has_lost_its_rights(error):
            raise outage(error) from error  # SQLAlchemy, which does this elsewhere, does not see a COPY
        raise
    finally:
        cursor.close()


def _copied(row: Row) -> Row:
    """A row of which COPY reads the last columns as null where they are."""
    return row if row[-1] is not None else (*row[: -len(_ZONE_COLUMNS)], *["\\N"] * len(_ZONE_COLUMNS))


def _insert(connection: Connection, rows: Iterator[Row]) -> None:
    defaults = tuple(_DEFAULTS.values())
    cursor = connection.connection.cursor()
    try:
        while batch := [row + defaults for row in islice(rows, _BATCH)]:
            cursor.executemany(_INSERT, batch)
    except sqlite3.OperationalError as error:
        raise DependencyUnavailable(f"The database does not answer ({error}). Try again shortly.") from error
    finally:
        cursor.close()
