"""what each node does for a scan, counted by triggers"""

# ruff: noqa: S608 - all SQL here is made of this file's constants

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudx.adapters.database.connection.column_types import RecordId, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTERS = ("chunks_done", "chunks_failed", "completed_units", "failed_units", "excluded_units")


def upgrade() -> None:
    """Apply."""
    _make_tables()
    op.execute(_FILL)
    op.execute(
        "INSERT INTO node_grants SELECT node_id, sum(granted_pps) FROM scan_nodes "
        "WHERE granted_pps > 0 GROUP BY node_id"
    )
    for name in _COUNTERS:
        op.drop_column("scans", name)
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in ("scan_nodes", "node_grants", "asking_workers"):
        # Room in the page for the next version of a row: these are updated at every claim.
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 40)")
    _index_chunks_to_claim("WHERE state = 'pending'")


def downgrade() -> None:
    """Take back."""
    if op.get_bind().dialect.name == "postgresql":
        _index_chunks_to_claim("")
    for name in _COUNTERS:
        kind = sa.Integer() if name.startswith("chunks") else sa.BigInteger()
        comment = "excluded after submit" if name == "excluded_units" else None
        op.add_column("scans", sa.Column(name, kind, nullable=False, server_default="0", comment=comment))
        op.execute(
            f"UPDATE scans SET {name} = "
            f"coalesce((SELECT sum(n.{name}) FROM scan_nodes n WHERE n.scan_id = scans.id), 0)"
        )
    for table in ("asking_workers", "node_grants", "scan_nodes"):
        op.drop_table(table)


def _index_chunks_to_claim(which: str) -> None:
    """With all states in it, each change of state writes to it, and the planner uses it to find a chunk by number."""
    op.execute("DROP INDEX ix_chunks_claim")
    op.execute(f"CREATE INDEX ix_chunks_claim ON chunks (scan_id, state, claim_order) {which}")


def _make_tables() -> None:
    op.create_table(
        "scan_nodes",
        sa.Column("scan_id", RecordId(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("granted_pps", sa.BigInteger(), nullable=False, comment="of its chunks that are sending"),
        sa.Column("chunks_leased", sa.Integer(), nullable=False),
        sa.Column("chunks_sending", sa.Integer(), nullable=False),
        sa.Column("chunks_done", sa.Integer(), nullable=False),
        sa.Column("chunks_failed", sa.Integer(), nullable=False),
        sa.Column("completed_units", sa.BigInteger(), nullable=False),
        sa.Column("failed_units", sa.BigInteger(), nullable=False),
        sa.Column("excluded_units", sa.BigInteger(), nullable=False, comment="excluded after submit"),
        sa.Column("moved_at", UtcDateTime(), nullable=False, comment="when a chunk of it last changed hands"),
        sa.PrimaryKeyConstraint("scan_id", "node_id", name=op.f("pk_scan_nodes")),
    )
    op.create_table(
        "node_grants",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("granted_pps", sa.BigInteger(), nullable=False, comment="over all scans"),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_node_grants")),
    )
    op.create_table(
        "asking_workers",
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("only_scan", RecordId(), nullable=True),
        sa.Column("capabilities", sa.Text(), nullable=False, comment="each word between commas"),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "worker_id", name=op.f("pk_asking_workers")),
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],  # a crash may forget it
    )


_UNITS = "address_count * port_count"
_FILL = f"""
INSERT INTO scan_nodes
SELECT scan_id, node_id,
       coalesce(sum(CASE WHEN state = 'leased' AND sending THEN rate_pps END), 0),
       sum(CASE WHEN state = 'leased' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'leased' AND sending THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN {_UNITS} - excluded_units ELSE 0 END),
       sum(CASE WHEN state = 'failed' THEN {_UNITS} ELSE 0 END),
       sum(CASE WHEN state = 'done' THEN excluded_units ELSE 0 END),
       CURRENT_TIMESTAMP
FROM chunks WHERE node_id IS NOT NULL AND state IN ('leased', 'done', 'failed') GROUP BY scan_id, node_id
"""
