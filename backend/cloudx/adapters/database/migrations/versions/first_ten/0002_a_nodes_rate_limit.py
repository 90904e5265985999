"""a node's rate limit"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    comment = "what its machine can send, over all scans"
    op.add_column("nodes", sa.Column("rate_limit_pps", sa.BigInteger(), nullable=True, comment=comment))


def downgrade() -> None:
    """Take back."""
    op.drop_column("nodes", "rate_limit_pps")
