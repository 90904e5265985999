"""listeners by which a node sees that its way out works"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "canaries",
        sa.Column("id", RecordId(), primary_key=True),
        sa.Column("target", PlainText(), nullable=False, comment="an address or a host name"),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("note", PlainText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", PlainText(), nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("canaries")
