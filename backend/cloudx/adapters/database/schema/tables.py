"""The tables. Column comments say what a name cannot."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    false,
    text,
)

from cloudx.adapters.database.connection.column_types import IpAddress, PlainText, RecordId, UtcDateTime

from .bulk_tables import inline_results as inline_results  # part of the metadata
from .bulk_tables import scan_targets as scan_targets
from .event_tables import duties as duties
from .metadata import metadata as metadata
from .policy_tables import canaries as canaries
from .policy_tables import excluded_names as excluded_names
from .policy_tables import exclusions as exclusions
from .policy_tables import policy_version as policy_version
from .policy_tables import removed_scopes as removed_scopes
from .policy_tables import scopes as scopes
from .policy_tables import tokens as tokens
from .schedule_tables import schedules as schedules
from .schedule_tables import target_lists as target_lists
from .search_tables import NOT_TAKEN_IN
from .stage_tables import follow_ups as follow_ups
from .stage_tables import stage_columns
from .webhook_tables import webhooks as webhooks

_NOT_PROBED = "of a done chunk: what its run did not probe; last_error says why"
_CAPS = "JSON object: packets a second to any prefix, by its length; null: no cap"
_GIVEN_UP = "of failed_units: given up at a time limit"

scans = Table(
    "scans",
    metadata,
    Column("id", RecordId, primary_key=True, comment="UUIDv7: sorts by time"),
    Column("tool", String(16), nullable=False),
    Column("type_name", String(16), nullable=False),
    Column("rate_pps", BigInteger, nullable=False),
    Column("excluded_addresses", BigInteger, nullable=False),
    Column("excluded_names", PlainText, nullable=False, server_default="[]", comment="JSON array: of its own exclude"),
    Column("warnings", PlainText, nullable=False, server_default="[]", comment="JSON array of sentences"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("name", PlainText),
    Column("priority", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText),
    Column("chunks_total", Integer, nullable=False),
    Column("max_workers", Integer, comment="the scan's own cap on dispatched workers"),
    Column("waiting_reason", PlainText, comment="why it does not go faster"),
    Column("retries", Integer, comment="tries beyond the first of each unanswered probe; null: the tool's own"),
    Column("budget_seconds", Integer, comment="from its start; what is not reached by then is not probed"),
    Column("splits_ports", Boolean, nullable=False, default=False, server_default=false(), comment="of nmap's hosts"),
    Column("timeout_seconds", Integer, comment="of one host"),
    Column("target_head", PlainText, nullable=False, comment="target_text, cut for lists"),
    Column("target_truncated", Boolean, nullable=False, comment="the head is not all of it"),
    Column("target_count", BigInteger, nullable=False, comment="addresses, the excluded included"),
    Column("units_per_address", Integer, nullable=False),
    Column("udp_too", Boolean, nullable=False, comment="it sends UDP probes beside its TCP ones"),
    Column("resolve", Boolean, nullable=False, comment="the names of what is found are looked up"),
    Column("paused_at", UtcDateTime, comment="while somebody has paused it"),
    Column("paused_by", PlainText),
    Column("paused_seconds", Float, nullable=False, server_default="0", comment="since its start, that do not count"),
    Column("opens_at", UtcDateTime, comment="it runs from then on; null: it may run"),
    Column("closes_at", UtcDateTime, comment="it runs until then; null: without end"),
    Column(
        "widest_chunk",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="addresses; no chunk has more; 0: unknown",
    ),
    *stage_columns(),
    Column("rate_per_prefix", PlainText, comment=_CAPS),
)
Index("ix_scans_open", scans.c.priority, scans.c.id, postgresql_where=text("status IN ('submitted', 'running')"))
Index("ix_scans_times", *scans.c["finished_at", "started_at"])

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", PlainText, primary_key=True),
    Column("key", PlainText, primary_key=True),
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
    Column("worker_id", PlainText),
    Column("node_id", PlainText),
    Column("lease_key", PlainText, comment="its process's secret; PostgreSQL alone, and no worker's login reads it"),
    Column("rate_pps", BigInteger, nullable=False, default=0),
    Column("lease_until", UtcDateTime),
    Column("sending", Boolean, nullable=False, default=False, comment="false while only late replies are awaited"),
    Column("sent_share", Float, nullable=False, default=0.0),
    Column("excluded_units", BigInteger, nullable=False, default=0),
    Column("failed_units", BigInteger, nullable=False, default=0, server_default="0", comment=_NOT_PROBED),
    Column("not_reached_units", BigInteger, nullable=False, default=0, server_default="0", comment=_GIVEN_UP),
    Column("failures", Integer, nullable=False, default=0),
    Column("failed_nodes", PlainText, nullable=False, default="", comment="one node id a line, each line ended"),
    Column("last_error", PlainText),
    Column("recuts", Integer, nullable=False, default=0, server_default="0", comment="how often it was cut again"),
    Column("cut_from", Integer, comment="the planned chunk it was part of"),
    Column("is_taken_in", Boolean, nullable=False, server_default=false(), comment="by the search over all scans"),
    Column("zone", Integer, comment="where caps by prefix hold"),
    Column("zone_limit_pps", BigInteger, comment="how fast it may go where nothing else of its zone does"),
)
Index("ix_chunks_claim", *chunks.c["scan_id", "state", "claim_order"], postgresql_where=text("state = 'pending'"))
# Not by lease_until: a renewal would write the index each time. Only so many rows are leased as workers run.
Index(
    "ix_chunks_leased",
    *chunks.c["scan_id", "number"],
    postgresql_where=text("state = 'leased'"),
    sqlite_where=text("state = 'leased'"),
)
Index("ix_chunks_fresh", *chunks.c["scan_id", "number"], postgresql_where=NOT_TAKEN_IN, sqlite_where=NOT_TAKEN_IN)

# The triggers on chunks keep them (sql/count_chunk.sql), by node: a claim adds up a few rows, and a worker that
# completes a chunk waits for no other worker's commit.
scan_nodes = Table(
    "scan_nodes",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("node_id", PlainText, primary_key=True),
    Column("granted_pps", BigInteger, nullable=False, comment="of its chunks that are sending"),
    Column("chunks_leased", Integer, nullable=False),
    Column("chunks_sending", Integer, nullable=False),
    Column("chunks_done", Integer, nullable=False),
    Column("chunks_failed", Integer, nullable=False),
    Column("completed_units", BigInteger, nullable=False),
    Column("failed_units", BigInteger, nullable=False),
    Column("excluded_units", BigInteger, nullable=False, comment="excluded after submit"),
    Column("moved_at", UtcDateTime, nullable=False, comment="when a chunk of it last changed hands"),
)

node_grants = Table(
    "node_grants",
    metadata,
    Column("node_id", PlainText, primary_key=True),
    Column("granted_pps", BigInteger, nullable=False, comment="over all scans"),
)

# Workers that asked for work a moment ago and got none: soft state, unlogged on PostgreSQL.
asking_workers = Table(
    "asking_workers",
    metadata,
    Column("node_id", PlainText, primary_key=True),
    Column("worker_id", PlainText, primary_key=True),
    Column("only_scan", RecordId),
    Column("capabilities", PlainText, nullable=False, comment="each word between commas"),
    Column("asked_at", UtcDateTime, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("node_id", PlainText, nullable=False),
    Column("worker_id", PlainText, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(16)),
    Column("packets_sent", BigInteger, comment="as the kernel counted them"),
    # The span as it was claimed: the chunk itself may be cut later.
    Column("address_start", BigInteger, nullable=False, server_default="0"),
    Column("address_count", BigInteger, nullable=False, server_default="0"),
    Column("port_start", Integer, nullable=False, server_default="0"),
    Column("port_count", Integer, nullable=False, server_default="0"),
    Column("policy_version", BigInteger, comment="that its claim saw"),
    Column("source_ip", IpAddress, comment="that its packets come from"),
)
# Partial, though every attempt has a span: PostgreSQL would take it for the key while the statistics say that the table
# is empty, and read all attempts of the scan to end one.
Index(
    "ix_attempts_address",
    *attempts.c["scan_id", "address_start"],
    postgresql_where=text("address_count > 0"),
    sqlite_where=text("address_count > 0"),
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("token", String(64), nullable=False, unique=True, comment="asking Nomad twice with it starts one worker"),
    Column("state", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("nomad_job_id", PlainText),
    Column("sent_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("outcome", String(16)),
    Column("detail", PlainText, comment="the last words of one that failed"),
)
Index(
    "ix_dispatches_open",
    dispatches.c.state,
    postgresql_where=text("state <> 'ended'"),
    sqlite_where=text("state <> 'ended'"),
)

# No foreign keys on the bulk tables: a trigger for each row halves the speed of COPY. Scans.delete removes their rows.
findings = Table(
    "findings",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("ip", IpAddress, primary_key=True),
    Column("protocol", String(8), primary_key=True),
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("service", PlainText),
    Column("hostname", PlainText),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("node_id", PlainText, nullable=False),
    Column("extra", PlainText, comment="JSON: what the tool adds"),
    sqlite_with_rowid=False,
)

hosts = Table(
    "hosts",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("ip", IpAddress, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("hostname", PlainText),
    Column("os_name", PlainText),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("node_id", PlainText, nullable=False),
    Column("extra", PlainText),
    sqlite_with_rowid=False,
)

nodes = Table(
    "nodes",
    metadata,
    Column("node_id", PlainText, primary_key=True),
    Column("hostname", PlainText, nullable=False),
    Column("ip", PlainText, nullable=False),
    Column("role", String(16), nullable=False),
    Column("capabilities", PlainText, nullable=False, comment="JSON array"),
    Column("version", PlainText, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("reported_status", String(16), nullable=False),
    Column("cpu", Float),
    Column("mem", Float),
    Column("loadavg", PlainText, nullable=False, comment="JSON array"),
    Column("updated_at", UtcDateTime),
    Column("beat_seconds", Float, nullable=False, server_default="5", comment="until its next beat, as it was told"),
    Column("checks", PlainText, nullable=False, comment="JSON array"),
    Column("rate_limit_pps", BigInteger, comment="what its machine can send, over all scans"),
    Column("reach", PlainText, comment="JSON: ranges on its own networks, and those without a gateway"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RecordId, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("principal", PlainText, nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("detail", PlainText, nullable=False, comment="JSON object"),
)
