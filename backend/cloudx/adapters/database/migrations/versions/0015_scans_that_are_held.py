"""a scan can be paused, and has hours"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText, UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COLUMNS = ("paused_at", "paused_by", "paused_seconds", "opens_at", "closes_at")


def upgrade() -> None:
    """Apply."""
    counted = "since its start, that do not count"
    op.add_column("scans", sa.Column("paused_at", UtcDateTime(), comment="while somebody has paused it"))
    op.add_column("scans", sa.Column("paused_by", PlainText()))
    op.add_column("scans", sa.Column("paused_seconds", sa.Float(), nullable=False, server_default="0", comment=counted))
    op.add_column("scans", sa.Column("opens_at", UtcDateTime(), comment="it runs from then on; null: it may run"))
    op.add_column("scans", sa.Column("closes_at", UtcDateTime(), comment="it runs until then; null: without end"))


def downgrade() -> None:
    """Take back."""
    for name in reversed(_COLUMNS):
        op.drop_column("scans", name)
