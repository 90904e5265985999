"""dispatches of scan workers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "dispatches",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("serial", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.String(64), nullable=False, comment="asking Nomad twice with it starts one worker"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("nomad_job_id", sa.Text(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True, comment="the last words of one that failed"),
        sa.PrimaryKeyConstraint("scan_id", "serial", name=op.f("pk_dispatches")),
        sa.UniqueConstraint("token", name=op.f("uq_dispatches_token")),
    )
    not_ended = sa.text("state <> 'ended'")
    op.create_index("ix_dispatches_open", "dispatches", ["state"], postgresql_where=not_ended, sqlite_where=not_ended)
    cap = sa.Column("max_workers", sa.Integer(), nullable=True, comment="the scan's own cap on dispatched workers")
    op.add_column("scans", cap)
    op.add_column("scans", sa.Column("waiting_reason", sa.Text(), nullable=True, comment="why it does not go faster"))


def downgrade() -> None:
    """Take back."""
    op.drop_column("scans", "waiting_reason")
    op.drop_column("scans", "max_workers")
    op.drop_index("ix_dispatches_open", table_name="dispatches")
    op.drop_table("dispatches")
