"""search over all scans: a small row for each finding, and the texts that it looks for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import IpAddress, RecordId, UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_NOT_TAKEN_IN = sa.text("state IN ('done', 'cancelled') AND attempt > 0 AND NOT is_taken_in")
_INDEXES = {
    "ix_sightings_time": ["is_latest", "observed_at", "id"],
    "ix_sightings_kind": ["is_latest", "kind_id", "observed_at", "id"],
    "ix_sightings_hostname": ["is_latest", "hostname_id", "observed_at", "id"],
    "ix_sightings_block": ["is_latest", "block", "observed_at", "id"],
    "ix_sightings_scan": ["scan_id", "is_latest", "observed_at", "id"],
}


def upgrade() -> None:
    """Apply. What is in the ledger already is taken in afterwards, as what is new is."""
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    block = "the first address of its /16, of IPv6 of its /32"
    seen_at = "observed_at by the database's clock: a node's own may be off; what is newest goes by it"
    is_latest = "newest of its port, which nothing newer proves closed"
    op.create_table(
        "sightings",
        sa.Column("id", serial, sa.Identity(), nullable=False),
        sa.Column("ip", IpAddress(), nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("kind_id", sa.Integer(), nullable=False),
        sa.Column("hostname_id", sa.Integer(), nullable=True),
        sa.Column("block", IpAddress(), nullable=False, comment=block),
        sa.Column("observed_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False, comment=seen_at),
        sa.Column("is_latest", sa.Boolean(), nullable=False, comment=is_latest),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
    )
    op.create_index("uq_sightings_key", "sightings", ["ip", "protocol", "port", "scan_id"], unique=True)
    port, is_one = ["ip", "protocol", "port"], sa.text("is_latest")
    op.create_index("uq_sightings_latest", "sightings", port, unique=True, postgresql_where=is_one, sqlite_where=is_one)
    for name, columns in _INDEXES.items():
        op.create_index(name, "sightings", columns)
    op.create_table(
        "finding_kinds",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("protocol", sa.String(8), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_kinds")),
    )
    kind = ["port", "protocol", "state", "service", "product"]
    op.create_index("uq_finding_kinds", "finding_kinds", kind, unique=True)
    op.create_table(
        "found_hostnames",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="in small letters"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_found_hostnames")),
    )
    op.create_index("uq_found_hostnames", "found_hostnames", ["name"], unique=True)
    op.create_table(
        "judge_again",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False, comment="first-last ranges, a line each"),
        sa.Column("deleted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("scan_id", name=op.f("pk_judge_again")),
    )
    comment = "by the search over all scans"
    op.add_column(
        "chunks", sa.Column("is_taken_in", sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)
    )
    key = ["scan_id", "number"]
    op.create_index("ix_chunks_fresh", "chunks", key, postgresql_where=_NOT_TAKEN_IN, sqlite_where=_NOT_TAKEN_IN)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_chunks_fresh", "chunks")
    op.drop_column("chunks", "is_taken_in")
    for table in ("judge_again", "found_hostnames", "finding_kinds", "sightings"):
        op.drop_table(table)
