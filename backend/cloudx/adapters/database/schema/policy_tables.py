"""The tables of who may ask, of what may be scanned and what never may, and what every node must reach."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

from .metadata import metadata

policy_version = Table(
    "policy_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("version", BigInteger, nullable=False),
)

scopes = Table(
    "scopes",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("targets", PlainText, nullable=False, comment="JSON array, as written"),
    Column("owner", PlainText, nullable=False),
    Column("note", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("allowed_hours", PlainText, comment="JSON; null: at any time"),
)

# What was probed by a scope's leave was so, whoever removes the scope. No worker reads it: it allows nothing any more.
removed_scopes = Table(
    "removed_scopes",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("targets", PlainText, nullable=False, comment="JSON array, as written"),
    Column("owner", PlainText, nullable=False),
    Column("note", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("allowed_hours", PlainText, comment="JSON; null: at any time"),
    Column("removed_at", UtcDateTime, nullable=False),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("targets", PlainText, nullable=False, comment="JSON array, as written"),
    Column("note", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("addresses", PlainText, nullable=False, comment="of those written as addresses; first-last, a line each"),
    Column("policy_version", BigInteger, comment="that came with it"),
)

excluded_names = Table(
    "excluded_names",
    metadata,
    Column("name", PlainText, primary_key=True),
    Column("seen", PlainText, nullable=False, comment="JSON: address to when the name last had it"),
    Column("resolved_at", UtcDateTime, nullable=False, comment="when it was last asked for, answered or not"),
)

canaries = Table(
    "canaries",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("target", PlainText, nullable=False, comment="an address or a host name"),
    Column("port", Integer, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("note", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("role", String(16), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("node_id", PlainText),
    Column("expires_at", UtcDateTime),
)
