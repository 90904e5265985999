"""webhooks and their outbox, which triggers fill"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId, UtcDateTime

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "webhooks",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False, comment="with commas between"),
        sa.Column("secret", sa.Text(), nullable=False, comment="it signs, so it is kept as it is"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("webhook_id", RecordId(), nullable=False),
        sa.Column("topic", sa.String(16), nullable=False),
        sa.Column("scan_id", RecordId()),
        sa.Column("node_id", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False, comment="of the scan or the node"),
        sa.Column("before", sa.String(16), comment="of the node, before that"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", UtcDateTime(), comment="null once it is over"),
        sa.Column("held_until", UtcDateTime(), comment="a process sends it"),
        sa.Column("body", sa.Text(), comment="what is sent; null: not made yet"),
        sa.Column("outcome", sa.String(16), nullable=False, server_default="waiting"),
        sa.Column("tried_at", UtcDateTime()),
        sa.Column("http_status", sa.Integer(), comment="of the last answer"),
        sa.Column("answer", sa.Text(), comment="its words, or why there was none"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    waiting = sa.text("outcome = 'waiting'")
    op.create_index("ix_deliveries_waiting", "deliveries", ["next_at"], postgresql_where=waiting, sqlite_where=waiting)
    op.create_index("ix_deliveries_tried", "deliveries", ["webhook_id", "tried_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("deliveries")
    op.drop_table("webhooks")
