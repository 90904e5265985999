"""a lease is ended by who holds its key; renewals and the ends of attempts write no index"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COMMENT = "its process's secret; PostgreSQL alone, and no worker's login reads it"
# A row that changes often finds room on its own page, and its indexes stay as they are.
_FILL_PERCENT = {"chunks": 70, "attempts": 60, "scan_nodes": 50, "node_grants": 50}


def upgrade() -> None:
    """Apply."""
    op.add_column("chunks", sa.Column("lease_key", sa.Text(), nullable=True, comment=_COMMENT))
    _index_leased("scan_id", "number")
    if op.get_bind().dialect.name == "postgresql":
        for table, percent in _FILL_PERCENT.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


def downgrade() -> None:
    """Take back."""
    if op.get_bind().dialect.name == "postgresql":
        for table in _FILL_PERCENT:
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
    _index_leased("lease_until")
    op.drop_column("chunks", "lease_key")


def _index_leased(*columns: str) -> None:
    is_leased = sa.text("state = 'leased'")
    op.drop_index("ix_chunks_leased", "chunks")
    op.create_index("ix_chunks_leased", "chunks", columns, postgresql_where=is_leased, sqlite_where=is_leased)
