"""Bulk inserts of findings into SQLite by the driver: four times as fast as SQLAlchemy, which works on each row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from socket import inet_aton
from typing import Any

from sqlalchemy import Column, Connection

from cloudx.adapters.database.connection.column_types import pack_ip, plain
from cloudx.adapters.database.schema.tables import findings as findings_table
from cloudx.domain.chunks import Lease
from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.findings import Finding

from .shared_texts import SharedTexts

_BATCH = 5_000  # sorted by key, so that neighbours land on the same page of the table
# Inserts fall all over the table: SQLite's own 2 MB of cache would make them twice as slow.
_BULK_CACHE_KIB, _USUAL_CACHE_KIB = 4_000, 2_000
_COLUMNS = [column.name for column in findings_table.c]
_INSERT = f"INSERT INTO findings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608

Row = tuple[Any, ...]


def insert_rows(connection: Connection, lease: Lease, findings: Iterator[Finding]) -> int:
    """Insert findings within the connection's transaction, one batch in memory at a time; return how many.

    Raises Conflict for a finding that comes twice, DependencyUnavailable where the file cannot be written.
    """
    rows = _rows(connection, lease, findings)
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy sees no statement below, and would have nothing to commit
    cursor = connection.connection.cursor()
    stored = 0
    cursor.execute(f"PRAGMA cache_size = -{_BULK_CACHE_KIB}")
    try:
        while batch := sorted(islice(rows, _BATCH), key=_key):
            cursor.executemany(_INSERT, batch)
            stored += len(batch)
    except sqlite3.IntegrityError as error:
        raise Conflict(
            f"The scanner reported one finding twice ({error}). This is a defect: please report it."
        ) from error
    except sqlite3.OperationalError as error:
        raise DependencyUnavailable(f"The database does not answer ({error}). Try again shortly.") from error
    finally:
        cursor.execute(f"PRAGMA cache_size = -{_USUAL_CACHE_KIB}")
        cursor.close()
    return stored


def _key(row: Row) -> Row:
    return row[1:4]


def _rows(connection: Connection, lease: Lease, findings: Iterator[Finding]) -> Iterator[Row]:
    """Each with its values in the order of the table's columns."""
    scan_id, node_id = _binder(connection, findings_table.c.scan_id)(lease.scan_id), plain(lease.node_id)
    times, extras = SharedTexts(_binder(connection, findings_table.c.observed_at)), SharedTexts(_extra_text)
    for finding in findings:
        ip = pack_ip(finding.ip) if ":" in finding.ip else b"\4" + inet_aton(finding.ip)
        texts = (plain(finding.state), _plain(finding.service), _plain(finding.hostname))
        head = (scan_id, ip, finding.protocol, finding.port, *texts)
        yield (*head, times.of(finding.observed_at), node_id, extras.of(finding.extra))


def _extra_text(extra: Mapping[str, Any]) -> str | None:
    return plain(json.dumps(extra)) if extra else None


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)


def _binder(connection: Connection, column: Column[Any]) -> Callable[[Any], Any]:
    """What SQLAlchemy itself would store for a value of this column."""
    processor = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return processor or (lambda value: value)
