"""nmap scans whose hosts are cut by ports; the time limit of a host"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    is_false = sa.false()
    op.add_column(
        "scans",
        sa.Column("splits_ports", sa.Boolean(), nullable=False, server_default=is_false, comment="of nmap's hosts"),
    )
    op.add_column("scans", sa.Column("timeout_seconds", sa.Integer(), comment="of one host"))
    given_up = "of failed_units: given up at a time limit"
    op.add_column(
        "chunks", sa.Column("not_reached_units", sa.BigInteger(), nullable=False, server_default="0", comment=given_up)
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("chunks", "not_reached_units")
    op.drop_column("scans", "timeout_seconds")
    op.drop_column("scans", "splits_ports")
