"""a node is told how long it may wait until its next beat"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COMMENT = "until its next beat, as it was told"


def upgrade() -> None:
    """Apply."""
    op.add_column("nodes", sa.Column("beat_seconds", sa.Float(), nullable=False, server_default="5", comment=_COMMENT))
    if op.get_bind().dialect.name == "postgresql":
        # A beat finds room on its row's page, and writes no index.
        op.execute("ALTER TABLE nodes SET (fillfactor = 50)")


def downgrade() -> None:
    """Take back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE nodes RESET (fillfactor)")
    op.drop_column("nodes", "beat_seconds")
