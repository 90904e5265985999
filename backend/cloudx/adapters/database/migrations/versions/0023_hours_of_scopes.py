"""a scope may have hours"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import PlainText

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_TABLES = ("scopes", "removed_scopes")


def upgrade() -> None:
    """Apply."""
    for table in _TABLES:
        op.add_column(table, sa.Column("allowed_hours", PlainText(), comment="JSON; null: at any time"))


def downgrade() -> None:
    """Take back."""
    for table in _TABLES:
        op.drop_column(table, "allowed_hours")
