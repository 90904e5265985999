"""chunks that were cut again"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "how often it was cut again"
    op.add_column("chunks", sa.Column("recuts", sa.Integer(), nullable=False, server_default="0", comment=comment))
    comment = "the planned chunk it was part of"
    op.add_column("chunks", sa.Column("cut_from", sa.Integer(), nullable=True, comment=comment))


def downgrade() -> None:
    """Take back."""
    op.drop_column("chunks", "cut_from")
    op.drop_column("chunks", "recuts")
