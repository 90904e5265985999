"""The tables of what is scanned again and again: named lists and schedules."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, String, Table

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

schedules = Table(
    "schedules",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("name", PlainText, nullable=False, unique=True),
    Column("cron", PlainText, nullable=False),
    Column("timezone", PlainText, nullable=False),
    Column("scan", PlainText, nullable=False, comment="JSON: the body of POST /api/scans"),
    Column("overlap", String(16), nullable=False),
    Column("missed", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False, comment="as whom its scans are submitted"),
    Column("role", String(16), nullable=False),
    Column("token_id", RecordId),
    Column("next_at", UtcDateTime, comment="the next tick that nobody has served"),
    Column("queued_at", UtcDateTime, comment="a tick that waits for the run before"),
    Column("last_scan_id", RecordId, comment="the last scan that it submitted"),
    Column("last_run_at", UtcDateTime),
    Column("last_run_outcome", PlainText),
    Column("last_run_scan_id", RecordId, comment="null where the last tick submitted nothing"),
)
