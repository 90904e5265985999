"""what excluded names resolve to; every name of an address; warnings of a scan"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Exclusions keep the addresses that their names had when they were made."""
    op.create_table(
        "excluded_names",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("seen", sa.Text(), nullable=False, comment="JSON: address to when the name last had it"),
        sa.Column(
            "resolved_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when it was last asked for, answered or not",
        ),
    )
    for name, comment in (
        ("excluded_names", "JSON array: of its own exclude"),
        ("warnings", "JSON array of sentences"),
    ):
        op.add_column("scans", sa.Column(name, sa.Text(), nullable=False, server_default="[]", comment=comment))
    _rewrite_host_names(lambda name: [name])
    _comment("JSON: address to the names it was asked by", "of those written as addresses; first-last, a line each")


def downgrade() -> None:
    """Take back; of several names the first stays."""
    _rewrite_host_names(lambda names: names[0])
    op.drop_column("scans", "warnings")
    op.drop_column("scans", "excluded_names")
    op.drop_table("excluded_names")
    _comment("JSON: address to the name it was asked by", "first-last ranges, a line each, names resolved")


def _comment(host_names: str, addresses: str) -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite has no comments
        op.alter_column("scans", "host_names", comment=host_names)
        op.alter_column("exclusions", "addresses", comment=addresses)


def _rewrite_host_names(change: Callable[[Any], Any]) -> None:
    scans = sa.table("scans", sa.column("id"), sa.column("host_names"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(scans).where(scans.c.host_names != "{}")).all():
        changed = {address: change(names) for address, names in json.loads(row.host_names).items()}
        own = sa.update(scans).where(scans.c.id == row.id)
        connection.execute(own.values(host_names=json.dumps(changed)))
