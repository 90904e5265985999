"""scans of two stages"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for column in _columns_of_scans():
        op.add_column("scans", column)
    op.create_table(
        "follow_ups",
        sa.Column("scan_id", RecordId(), nullable=False, comment="the second stage"),
        sa.Column(
            "address_start", sa.BigInteger(), autoincrement=False, nullable=False, comment="of its first address"
        ),
        sa.Column("address_count", sa.BigInteger(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False, comment="first-last ranges, a line each"),
        sa.Column("ports", sa.Text(), nullable=False, comment="open on each of them"),
        sa.Column("units_before", sa.BigInteger(), nullable=False, comment="open ports in the rows before it"),
        sa.Column("units", sa.BigInteger(), nullable=False, comment="open ports in it"),
        sa.Column("settled_before", sa.Float(), nullable=False, comment="units of the first stage"),
        sa.Column("settled_after", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("scan_id", "address_start", name=op.f("pk_follow_ups")),
    )


def downgrade() -> None:
    """Take back: the second stages go, with what is left of them to do; the first ones stay, with all findings."""
    second = "(SELECT id FROM scans WHERE follows IS NOT NULL)"
    for table in ("chunks", "scan_nodes", "attempts", "scan_targets", "dispatches"):
        op.execute(f"DELETE FROM {table} WHERE scan_id IN {second}")  # noqa: S608 - constants
    op.execute("DELETE FROM scans WHERE follows IS NOT NULL")
    op.drop_table("follow_ups")
    for column in _columns_of_scans():
        op.drop_column("scans", column.name)


def _columns_of_scans() -> Iterator[sa.Column[object]]:
    yield sa.Column("followed_by", RecordId(), nullable=True, comment="of a first stage: the second")
    yield sa.Column("then_type", sa.String(16), nullable=True, comment="of a first stage: the second's type")
    comment = "of a first stage: what the second takes of the rate asked"
    yield sa.Column("then_rate_pps", sa.BigInteger(), nullable=True, comment=comment)
    comment = "of a first stage: of the bar"
    yield sa.Column("first_weight", sa.Float(), nullable=False, server_default="1", comment=comment)
    comment = "of a second stage: the first, by whose id people know both"
    yield sa.Column("follows", RecordId(), nullable=True, comment=comment)
    comment = "of a second stage: planned"
    yield sa.Column("followed_units", sa.BigInteger(), nullable=False, server_default="0", comment=comment)
