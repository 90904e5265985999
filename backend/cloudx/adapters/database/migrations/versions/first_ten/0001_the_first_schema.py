"""the first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import IpAddress, RecordId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "attempts",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("scan_id", "number", "attempt", name=op.f("pk_attempts")),
    )
    op.create_table(
        "audit",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="JSON object"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "chunks",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address_start", sa.BigInteger(), nullable=False),
        sa.Column("address_count", sa.BigInteger(), nullable=False),
        sa.Column("port_start", sa.Integer(), nullable=False),
        sa.Column("port_count", sa.Integer(), nullable=False),
        sa.Column("claim_order", sa.Integer(), nullable=False, comment="shuffled, to spread load over the targets"),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("available_at", UtcDateTime(), nullable=True, comment="not claimed before: back-off after a failure"),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="the fence: grows with every lease"),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("rate_pps", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("sending", sa.Boolean(), nullable=False, comment="false while only late replies are awaited"),
        sa.Column("sent_share", sa.Float(), nullable=False),
        sa.Column("excluded_units", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_nodes", sa.Text(), nullable=False, comment="one node id a line, each line ended"),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("scan_id", "number", name=op.f("pk_chunks")),
    )
    with op.batch_alter_table("chunks", schema=None) as batch_op:
        batch_op.create_index("ix_chunks_claim", ["scan_id", "state", "claim_order"], unique=False)
        batch_op.create_index(
            "ix_chunks_leased",
            ["lease_until"],
            unique=False,
            postgresql_where=sa.text("state = 'leased'"),
            sqlite_where=sa.text("state = 'leased'"),
        )

    op.create_table(
        "exclusions",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False, comment="JSON array, as written"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False, comment="first-last ranges, a line each, names resolved"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusions")),
    )
    op.create_table(
        "findings",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("ip", IpAddress(), nullable=False),
        sa.Column("protocol", sa.String(length=8), nullable=False),
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("hostname", sa.Text(), nullable=True),
        sa.Column("observed_at", UtcDateTime(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=True, comment="JSON: what the tool adds"),
        sa.PrimaryKeyConstraint("scan_id", "ip", "protocol", "port", name=op.f("pk_findings")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hosts",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("ip", IpAddress(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=True),
        sa.Column("os_name", sa.Text(), nullable=True),
        sa.Column("observed_at", UtcDateTime(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("scan_id", "ip", name=op.f("pk_hosts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.String(length=64), nullable=False),
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "inline_results",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False, comment="JSON, as served"),
        sa.PrimaryKeyConstraint("scan_id", name=op.f("pk_inline_results")),
    )
    op.create_table(
        "nodes",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("capabilities", sa.Text(), nullable=False, comment="JSON array"),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen", UtcDateTime(), nullable=False),
        sa.Column("reported_status", sa.String(length=16), nullable=False),
        sa.Column("cpu", sa.Float(), nullable=True),
        sa.Column("mem", sa.Float(), nullable=True),
        sa.Column("loadavg", sa.Text(), nullable=False, comment="JSON array"),
        sa.Column("updated_at", UtcDateTime(), nullable=True),
        sa.Column("checks", sa.Text(), nullable=False, comment="JSON array"),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "policy_version",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_version")),
    )
    op.create_table(
        "scans",
        sa.Column("id", RecordId(), nullable=False, comment="UUIDv7: sorts by time"),
        sa.Column("tool", sa.String(length=16), nullable=False),
        sa.Column("type_name", sa.String(length=16), nullable=False),
        sa.Column("target_text", sa.Text(), nullable=False, comment="as the user wrote it"),
        sa.Column(
            "addresses", sa.Text(), nullable=False, comment="first-last ranges, a line each; chunks are offsets into it"
        ),
        sa.Column("ports", sa.Text(), nullable=True),
        sa.Column("rate_pps", sa.BigInteger(), nullable=False),
        sa.Column("excluded_addresses", sa.BigInteger(), nullable=False),
        sa.Column("host_names", sa.Text(), nullable=False, comment="JSON: address to the name it was asked by"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("chunks_total", sa.Integer(), nullable=False),
        sa.Column("chunks_done", sa.Integer(), nullable=False),
        sa.Column("chunks_failed", sa.Integer(), nullable=False),
        sa.Column("completed_units", sa.BigInteger(), nullable=False),
        sa.Column("failed_units", sa.BigInteger(), nullable=False),
        sa.Column("excluded_units", sa.BigInteger(), nullable=False, comment="excluded after submit"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scans")),
    )
    with op.batch_alter_table("scans", schema=None) as batch_op:
        batch_op.create_index(
            "ix_scans_open",
            ["priority", "id"],
            unique=False,
            postgresql_where=sa.text("status IN ('submitted', 'running')"),
        )

    op.create_table(
        "scopes",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False, comment="JSON array, as written"),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scopes")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_tokens_sha256")),
    )
    op.execute("INSERT INTO policy_version (id, version) VALUES (1, 0)")


def downgrade() -> None:
    """Take back."""
    op.drop_table("tokens")
    op.drop_table("scopes")
    with op.batch_alter_table("scans", schema=None) as batch_op:
        batch_op.drop_index("ix_scans_open", postgresql_where=sa.text("status IN ('submitted', 'running')"))

    op.drop_table("scans")
    op.drop_table("policy_version")
    op.drop_table("nodes")
    op.drop_table("inline_results")
    op.drop_table("idempotency_keys")
    op.drop_table("hosts")
    op.drop_table("findings")
    op.drop_table("exclusions")
    with op.batch_alter_table("chunks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_chunks_leased", postgresql_where=sa.text("state = 'leased'"), sqlite_where=sa.text("state = 'leased'")
        )
        batch_op.drop_index("ix_chunks_claim")

    op.drop_table("chunks")
    op.drop_table("audit")
    op.drop_table("attempts")
