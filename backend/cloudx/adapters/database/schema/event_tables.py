"""The tables of events."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Integer, String, Table

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

from .metadata import metadata

# Only the triggers sql/tell_*.sql write it. On SQLite, with one writer at a time, transactions are counted by them.
events = Table(
    "events",
    metadata,
    Column("transaction_id", BigInteger, primary_key=True, autoincrement=False, comment="that wrote it"),
    Column("serial", BigInteger, Identity(always=True), primary_key=True, comment="within it"),
    Column("at", UtcDateTime, nullable=False),
    Column("type", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("scan_id", RecordId),
    Column("number", Integer),
    Column("attempt", Integer),
    Column("node_id", PlainText),
    Column("detail", PlainText),
    sqlite_with_rowid=False,
)

pruned_events = Table(
    "pruned_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("transaction_id", BigInteger, nullable=False, comment="no event of it or of an earlier one is left"),
)

# Its triggers write the events of nodes.
told_nodes = Table(
    "told_nodes",
    metadata,
    Column("node_id", PlainText, primary_key=True),
    Column("status", String(16), nullable=False, comment="as the last event told it"),
)

duties = Table(
    "duties",
    metadata,
    Column("name", String(32), primary_key=True, comment="what one process at a time does for all"),
    Column("holder", String(32), nullable=False, comment="a process, by a random name"),
    Column("until", UtcDateTime, nullable=False),
)
