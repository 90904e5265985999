"""The tables of what is scanned again and again: named lists and schedules."""

from __future__ import annotations

from sqlalchemy import Column, Table

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

from .metadata import metadata

target_lists = Table(
    "target_lists",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("name", PlainText, nullable=False, unique=True),
    Column("targets", PlainText, nullable=False, comment="JSON array, as written"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
)
