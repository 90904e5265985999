"""The tables. Column comments say what a name cannot."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from .column_types import IpAddress, RecordId, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


scans = Table(
    "scans",
    metadata,
    Column("id", RecordId, primary_key=True, comment="UUIDv7: sorts by time"),
    Column("tool", String(16), nullable=False),
    Column("type_name", String(16), nullable=False),
    Column("target_text", Text, nullable=False, comment="as the user wrote it"),
    Column("addresses", Text, nullable=False, comment="first-last ranges, a line each; chunks are offsets into it"),
    Column("ports", Text),
    Column("rate_pps", BigInteger, nullable=False),
    Column("excluded_addresses", BigInteger, nullable=False),
    Column("host_names", Text, nullable=False, comment="JSON: address to the name it was asked by"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("name", Text),
    Column("priority", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    Column("chunks_total", Integer, nullable=False),
    Column("chunks_done", Integer, nullable=False, default=0),
    Column("chunks_failed", Integer, nullable=False, default=0),
    Column("completed_units", BigInteger, nullable=False, default=0),
    Column("failed_units", BigInteger, nullable=False, default=0),
    Column("excluded_units", BigInteger, nullable=False, default=0, comment="excluded after submit"),
)
Index("ix_scans_open", scans.c.priority, scans.c.id, postgresql_where=text("status IN ('submitted', 'running')"))

inline_results = Table(
    "inline_results",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("document", LargeBinary, nullable=False, comment="JSON, as served"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("scan_id", RecordId, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

chunks = Table(
    "chunks",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("address_start", BigInteger, nullable=False),
    Column("address_count", BigInteger, nullable=False),
    Column("port_start", Integer, nullable=False),
    Column("port_count", Integer, nullable=False),
    Column("claim_order", Integer, nullable=False, comment="shuffled, to spread load over the targets"),
    Column("state", String(16), nullable=False, default="pending"),
    Column("available_at", UtcDateTime, comment="not claimed before: back-off after a failure"),
    Column("attempt", Integer, nullable=False, default=0, comment="the fence: grows with every lease"),
    Column("worker_id", Text),
    Column("node_id", Text),
    Column("rate_pps", BigInteger, nullable=False, default=0),
    Column("lease_until", UtcDateTime),
    Column("sending", Boolean, nullable=False, default=False, comment="false while only late replies are awaited"),
    Column("sent_share", Float, nullable=False, default=0.0),
    Column("excluded_units", BigInteger, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("failed_nodes", Text, nullable=False, default="", comment="one node id a line, each line ended"),
    Column("last_error", Text),
)
Index("ix_chunks_claim", chunks.c.scan_id, chunks.c.state, chunks.c.claim_order)
Index(
    "ix_chunks_leased",
    chunks.c.lease_until,
    postgresql_where=text("state = 'leased'"),
    sqlite_where=text("state = 'leased'"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("node_id", Text, nullable=False),
    Column("worker_id", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(16)),
)

# No foreign keys on the bulk tables: a trigger a row halves the speed of COPY. Scans.delete removes their rows.
findings = Table(
    "findings",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("ip", IpAddress, primary_key=True),
    Column("protocol", String(8), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("service", Text),
    Column("hostname", Text),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("extra", Text, comment="JSON: what the tool adds"),
    sqlite_with_rowid=False,
)

hosts = Table(
    "hosts",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("ip", IpAddress, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("hostname", Text),
    Column("os_name", Text),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("extra", Text),
    sqlite_with_rowid=False,
)

nodes = Table(
    "nodes",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("ip", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("capabilities", Text, nullable=False, comment="JSON array"),
    Column("version", Text, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("reported_status", String(16), nullable=False),
    Column("cpu", Float),
    Column("mem", Float),
    Column("loadavg", Text, nullable=False, comment="JSON array"),
    Column("updated_at", UtcDateTime),
    Column("checks", Text, nullable=False, comment="JSON array"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("node_id", Text),
    Column("expires_at", UtcDateTime),
)

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
    Column("targets", Text, nullable=False, comment="JSON array, as written"),
    Column("owner", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime),
)

exclusions = Table(
    "exclusions",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("targets", Text, nullable=False, comment="JSON array, as written"),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("addresses", Text, nullable=False, comment="first-last ranges, a line each, names resolved"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("principal", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False, comment="JSON object"),
)
