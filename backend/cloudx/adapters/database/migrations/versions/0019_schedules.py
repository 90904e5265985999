"""scans that are submitted again and again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "schedules",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("cron", PlainText(), nullable=False),
        sa.Column("timezone", PlainText(), nullable=False),
        sa.Column("scan", PlainText(), nullable=False, comment="JSON: the body of POST /api/scans"),
        sa.Column("overlap", sa.String(16), nullable=False),
        sa.Column("missed", sa.String(16), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", PlainText(), nullable=False, comment="as whom its scans are submitted"),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("token_id", RecordId()),
        sa.Column("next_at", UtcDateTime(), comment="the next tick that nobody has served"),
        sa.Column("queued_at", UtcDateTime(), comment="a tick that waits for the run before"),
        sa.Column("last_scan_id", RecordId(), comment="the last scan that it submitted"),
        sa.Column("last_run_at", UtcDateTime()),
        sa.Column("last_run_outcome", PlainText()),
        sa.Column("last_run_scan_id", RecordId(), comment="null where the last tick submitted nothing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("name", name=op.f("uq_schedules_name")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("schedules")
