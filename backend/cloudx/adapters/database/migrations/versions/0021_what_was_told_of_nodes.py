"""what events told of nodes, and which process does what for all"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "told_nodes",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, comment="as the last event told it"),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_told_nodes")),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(32), nullable=False, comment="what one process at a time does for all"),
        sa.Column("holder", sa.String(32), nullable=False, comment="a process, by a random name"),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duties")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("duties")
    op.drop_table("told_nodes")
