"""a lease is ended by who holds its key"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COMMENT = "its process's secret; PostgreSQL alone, and no worker's login reads it"


def upgrade() -> None:
    """Apply."""
    op.add_column("chunks", sa.Column("lease_key", sa.Text(), nullable=True, comment=_COMMENT))


def downgrade() -> None:
    """Take back."""
    op.drop_column("chunks", "lease_key")
