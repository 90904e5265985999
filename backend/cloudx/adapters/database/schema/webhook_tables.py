"""The tables of webhooks and of what they are told."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, text

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

from .metadata import metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("url", PlainText, nullable=False),
    Column("topics", PlainText, nullable=False, comment="with commas between"),
    Column("secret", PlainText, nullable=False, comment="it signs, so it is kept as it is"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
)

# The outbox: the triggers sql/queue_*.sql fill it.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("webhook_id", RecordId, nullable=False),
    Column("topic", String(16), nullable=False),
    Column("scan_id", RecordId),
    Column("node_id", PlainText),
    Column("state", String(16), nullable=False, comment="of the scan or the node"),
    Column("before", String(16), comment="of the node, before that"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_at", UtcDateTime, comment="null once it is over"),
    Column("held_until", UtcDateTime, comment="a process sends it"),
    Column("body", PlainText, comment="what is sent; null: not made yet"),
    Column("outcome", String(16), nullable=False, server_default="waiting"),
    Column("tried_at", UtcDateTime),
    Column("http_status", Integer, comment="of the last answer"),
    Column("answer", PlainText, comment="its words, or why there was none"),
)
Index(
    "ix_deliveries_waiting",
    deliveries.c.next_at,
    postgresql_where=text("outcome = 'waiting'"),
    sqlite_where=text("outcome = 'waiting'"),
)
Index("ix_deliveries_tried", *deliveries.c["webhook_id", "tried_at"])
