"""What two stages of a scan have to do with each other."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import BigInteger, Column, Float, String, Table

from cloudx.adapters.database.connection.column_types import PlainText, RecordId

from .metadata import metadata


def stage_columns() -> Iterator[Column[object]]:
    """Columns of the scans' table."""
    yield Column("followed_by", RecordId, comment="of a first stage: the second")
    yield Column("then_type", String(16), comment="of a first stage: the second's type")
    yield Column("then_rate_pps", BigInteger, comment="of a first stage: what the second takes of the rate asked")
    yield Column("first_weight", Float, nullable=False, server_default="1", comment="of a first stage: of the bar")
    yield Column("follows", RecordId, comment="of a second stage: the first, by whose id people know both")
    yield Column("followed_units", BigInteger, nullable=False, server_default="0", comment="of a second stage: planned")


# A second stage has no addresses of its own: its chunks are offsets into those of these rows, one after another.
follow_ups = Table(
    "follow_ups",
    metadata,
    Column("scan_id", RecordId, primary_key=True, comment="the second stage"),
    Column("address_start", BigInteger, primary_key=True, autoincrement=False, comment="of its first address"),
    Column("address_count", BigInteger, nullable=False),
    Column("addresses", PlainText, nullable=False, comment="first-last ranges, a line each"),
    Column("ports", PlainText, nullable=False, comment="open on each of them"),
    Column("units_before", BigInteger, nullable=False, comment="open ports in the rows before it"),
    Column("units", BigInteger, nullable=False, comment="open ports in it"),
    # For the bar (domain/stages/progress.py).
    Column("settled_before", Float, nullable=False, comment="units of the first stage"),
    Column("settled_after", Float, nullable=False),
)
