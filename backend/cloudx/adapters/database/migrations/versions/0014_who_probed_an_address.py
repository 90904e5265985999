"""an attempt keeps what it covered and where it sent from; removed scopes are remembered"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import IpAddress, RecordId, UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# What each planned chunk covered, before any of it was cut.
_PLANNED = """
    SELECT scan_id, coalesce(cut_from, number) AS planned, min(address_start) AS address_start,
        max(address_start + address_count) - min(address_start) AS address_count, min(port_start) AS port_start,
        max(port_start + port_count) - min(port_start) AS port_count
    FROM chunks GROUP BY scan_id, coalesce(cut_from, number)
"""
# The attempts of a chunk that was never cut covered what it covers now. Of one that was, the ledger does not know what
# the earlier ones covered: they get all of the planned chunk, which is never too little.
_SPANS = f"""
    UPDATE attempts SET address_start = span.address_start, address_count = span.address_count,
        port_start = span.port_start, port_count = span.port_count
    FROM (
        SELECT c.scan_id, c.number, p.address_start, p.address_count, p.port_start, p.port_count
        FROM chunks c JOIN ({_PLANNED}) p ON p.scan_id = c.scan_id AND p.planned = coalesce(c.cut_from, c.number)
    ) span
    WHERE span.scan_id = attempts.scan_id AND span.number = attempts.number
"""  # noqa: S608 - constants
_WIDEST = f"""
    UPDATE scans SET widest_chunk = widest.address_count
    FROM (SELECT scan_id, max(address_count) AS address_count FROM ({_PLANNED}) p GROUP BY scan_id) widest
    WHERE widest.scan_id = scans.id
"""  # noqa: S608 - constants


def upgrade() -> None:
    """Apply."""
    for column in _columns_of_attempts():
        op.add_column("attempts", column)
    comment = "addresses; no chunk has more; 0: unknown"
    op.add_column(
        "scans", sa.Column("widest_chunk", sa.BigInteger(), nullable=False, server_default="0", comment=comment)
    )
    comment = "that came with it"
    op.add_column("exclusions", sa.Column("policy_version", sa.BigInteger(), nullable=True, comment=comment))
    op.execute("UPDATE exclusions SET policy_version = 0")  # each claim to come sees them
    op.create_table(
        "removed_scopes",
        sa.Column("id", RecordId(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False, comment="JSON array, as written"),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("removed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removed_scopes")),
    )
    for statement in (_SPANS, _WIDEST):
        op.execute(statement)
    op.create_index("ix_attempts_address", "attempts", ["scan_id", "address_start"])
    op.create_index("ix_scans_times", "scans", ["finished_at", "started_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_scans_times", "scans")
    op.drop_index("ix_attempts_address", "attempts")
    op.drop_table("removed_scopes")
    op.drop_column("exclusions", "policy_version")
    op.drop_column("scans", "widest_chunk")
    for column in _columns_of_attempts():
        op.drop_column("attempts", column.name)


def _columns_of_attempts() -> Iterator[sa.Column[object]]:
    for name in ("address_start", "address_count"):
        yield sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
    for name in ("port_start", "port_count"):
        yield sa.Column(name, sa.Integer(), nullable=False, server_default="0")
    yield sa.Column("policy_version", sa.BigInteger(), nullable=True, comment="that its claim saw")
    yield sa.Column("source_ip", IpAddress(), nullable=True, comment="that its packets come from")
