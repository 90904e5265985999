"""Bulk inserts of findings into SQLite by the driver: four times as fast as SQLAlchemy, which works on each row.

A block goes in as columns, one statement for all of it, another four times as fast: the driver takes longer to bind a
row's values than SQLite to store them.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from socket import inet_aton
from typing import Any

from sqlalchemy import Column, Connection

from cloudx.adapters.database.connection.column_types import pack_ip, plain
from cloudx.adapters.database.schema.tables import findings as findings_table
from cloudx.domain.chunks import Lease
from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.findings import ANSWER_MASK, PORT_MASK, PORT_SHIFT, ROW_SHIFT, Finding, FindingBlock

from .shared_texts import SharedTexts

_BATCH = 5_000  # sorted by key, so that neighbours land on the same page of the table
# Inserts fall all over the table: SQLite's own 2 MB of cache would make them twice as slow.
_BULK_CACHE_KIB, _USUAL_CACHE_KIB = 4_000, 2_000
_COLUMNS = [column.name for column in findings_table.c]
_INSERT = f"INSERT INTO findings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
# Eight bytes an address, the last five of which are those of `pack_ip`. CROSS JOIN keeps the order of the cells.
_INSERT_BLOCK = f"""
    WITH answer AS MATERIALIZED (
        SELECT key AS number, json_extract(value, '$[0]') AS protocol, json_extract(value, '$[1]') AS state,
            json_extract(value, '$[2]') AS observed_at, json_extract(value, '$[3]') AS extra
        FROM json_each(:answers)
    )
    INSERT INTO findings ({", ".join(_COLUMNS)})
    SELECT :scan_id, substr(:addresses, (cell.value >> {ROW_SHIFT}) * 8 + 4, 5), answer.protocol,
        cell.value >> {PORT_SHIFT} & {PORT_MASK}, answer.state, NULL, NULL, answer.observed_at, :node_id, answer.extra
    FROM json_each(:cells) AS cell CROSS JOIN answer ON answer.number = cell.value & {ANSWER_MASK}
"""  # noqa: S608 - the names are the table's own

Row = tuple[Any, ...]


def insert_rows(connection: Connection, lease: Lease, findings: Iterator[Finding | FindingBlock]) -> int:
    """Insert findings within the connection's transaction, one batch or block in memory at a time; return how many.

    Raises Conflict for a finding that comes twice, DependencyUnavailable where the file cannot be written.
    """
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy sees no statement below, and would have nothing to commit
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA cache_size = -{_BULK_CACHE_KIB}")
    try:
        insert = _Insert(connection, cursor, lease)
        return sum(map(insert, _pieces(findings)))
    except sqlite3.IntegrityError as error:
        raise Conflict(
            f"The scanner reported one finding twice ({error}). This is a defect: please report it."
        ) from error
    except sqlite3.OperationalError as error:
        raise DependencyUnavailable(f"The database does not answer ({error}). Try again shortly.") from error
    finally:
        cursor.execute(f"PRAGMA cache_size = -{_USUAL_CACHE_KIB}")
        cursor.close()


class _Insert:
    """The inserts of one chunk."""

    def __init__(self, connection: Connection, cursor: Any, lease: Lease) -> None:
        self._cursor = cursor
        self._scan_id = _binder(connection, findings_table.c.scan_id)(lease.scan_id)
        self._node_id = plain(lease.node_id)
        self._time_text = _binder(connection, findings_table.c.observed_at)
        self._times, self._extras = SharedTexts(self._time_text), SharedTexts(_extra_text)

    def __call__(self, piece: FindingBlock | list[Finding]) -> int:
        """Insert them; how many."""
        return self._block(piece) if isinstance(piece, FindingBlock) else self._batch(piece)

    def _batch(self, findings: list[Finding]) -> int:
        rows = sorted(map(self._row, findings), key=_key)
        self._cursor.executemany(_INSERT, rows)
        return len(rows)

    def _row(self, finding: Finding) -> Row:
        """Its values in the order of the table's columns."""
        ip = pack_ip(finding.ip) if ":" in finding.ip else b"\4" + inet_aton(finding.ip)
        texts = (plain(finding.state), _plain(finding.service), _plain(finding.hostname))
        head = (self._scan_id, ip, finding.protocol, finding.port, *texts)
        return (*head, self._times.of(finding.observed_at), self._node_id, self._extras.of(finding.extra))

    def _block(self, block: FindingBlock) -> int:
        answers = [
            (one.protocol, plain(one.state), self._time_text(one.observed_at), _extra_text(one.extra))
            for one in block.answers
        ]
        values = {
            "scan_id": self._scan_id,
            "node_id": self._node_id,
            "addresses": struct.pack(f">{len(block.addresses)}Q", *(4 << 32 | address for address in block.addresses)),
            "cells": json.dumps(list(block.cells)),
            "answers": json.dumps(answers),
        }
        self._cursor.execute(_INSERT_BLOCK, values)
        return len(block.cells)


def _pieces(findings: Iterable[Finding | FindingBlock]) -> Iterator[FindingBlock | list[Finding]]:
    """The blocks as they are, and what is between them in batches."""
    batch: list[Finding] = []
    for one in findings:
        if isinstance(one, FindingBlock):
            yield one
            continue
        batch.append(one)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _key(row: Row) -> Row:
    return row[1:4]


def _extra_text(extra: Mapping[str, Any]) -> str | None:
    return plain(json.dumps(extra)) if extra else None


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)


def _binder(connection: Connection, column: Column[Any]) -> Callable[[Any], Any]:
    """What SQLAlchemy itself would store for a value of this column."""
    processor = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return processor or (lambda value: value)
