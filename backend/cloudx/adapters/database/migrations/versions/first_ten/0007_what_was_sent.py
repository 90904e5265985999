"""packets sent by each attempt, a scan's retries and its budget"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("attempts", sa.Column("packets_sent", sa.BigInteger(), comment="as the kernel counted them"))
    comment = "tries beyond the first of each unanswered probe; null: the tool's own"
    op.add_column("scans", sa.Column("retries", sa.Integer(), comment=comment))
    comment = "from its start; what is not reached by then is not probed"
    op.add_column("scans", sa.Column("budget_seconds", sa.Integer(), comment=comment))


def downgrade() -> None:
    """Take back."""
    op.drop_column("scans", "budget_seconds")
    op.drop_column("scans", "retries")
    op.drop_column("attempts", "packets_sent")
