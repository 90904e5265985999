"""What may be megabytes of a scan, out of the rows that lists, claims and clocks read: SQLite walks all of a row."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table

from cloudx.adapters.database.connection.column_types import PlainText, RecordId

from .metadata import metadata

scan_targets = Table(
    "scan_targets",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("target_text", PlainText, nullable=False, comment="as the user wrote it"),
    Column(
        "addresses", PlainText, nullable=False, comment="first-last ranges, a line each; chunks are offsets into it"
    ),
    Column("ports", PlainText),
    Column("host_names", PlainText, nullable=False, comment="JSON: address to the names it was asked by"),
)

inline_results = Table(
    "inline_results",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("size", Integer, nullable=False, comment="bytes of JSON"),
    Column("truncated", Boolean, nullable=False, comment="more was found"),
    Column("packed", LargeBinary, nullable=False, comment="JSON, as served, by zlib"),
)
