"""events, which triggers write, and how far they were pruned"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId, UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "events",
        sa.Column("transaction_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="that wrote it"),
        sa.Column("serial", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="within it"),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("type", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("scan_id", RecordId(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("transaction_id", "serial", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    pruned = op.create_table(
        "pruned_events",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column(
            "transaction_id", sa.BigInteger(), nullable=False, comment="no event of it or of an earlier one is left"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pruned_events")),
    )
    op.bulk_insert(pruned, [{"id": 1, "transaction_id": 0}])


def downgrade() -> None:
    """Take back."""
    op.drop_table("pruned_events")
    op.drop_table("events")
