"""named lists of targets"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText, RecordId, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "target_lists",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("targets", PlainText(), nullable=False, comment="JSON array, as written"),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", PlainText(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_target_lists")),
        sa.UniqueConstraint("name", name=op.f("uq_target_lists_name")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("target_lists")
