"""units of a done chunk that its run did not probe"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "of a done chunk: what its run did not probe; last_error says why"
    op.add_column(
        "chunks", sa.Column("failed_units", sa.BigInteger(), nullable=False, server_default="0", comment=comment)
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("chunks", "failed_units")
