"""What the search over all scans goes by: a small row for each finding, and the texts that it looks for (ADR 0036)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, String, Table, text

from cloudx.adapters.database.connection.column_types import IpAddress, PlainText, RecordId, UtcDateTime

from .metadata import metadata

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by an INTEGER alone
_BLOCK = "the first address of its /16, of IPv6 of its /32"
_SEEN_AT = "observed_at by the database's clock: a node's own may be off; what is newest goes by it"

sightings = Table(
    "sightings",
    metadata,
    Column("id", _SERIAL, Identity(), primary_key=True),
    Column("ip", IpAddress, nullable=False),
    Column("protocol", String(8), nullable=False),
    Column("port", Integer, nullable=False),
    Column("scan_id", RecordId, nullable=False),
    Column("kind_id", Integer, nullable=False),
    Column("hostname_id", Integer),
    Column("block", IpAddress, nullable=False, comment=_BLOCK),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False, comment=_SEEN_AT),
    Column("is_latest", Boolean, nullable=False, comment="newest of its port, which nothing newer proves closed"),
)
Index("uq_sightings_key", *sightings.c["ip", "protocol", "port", "scan_id"], unique=True)
Index(
    "uq_sightings_latest",
    *sightings.c["ip", "protocol", "port"],
    unique=True,
    postgresql_where=text("is_latest"),
    sqlite_where=text("is_latest"),
)
Index("ix_sightings_time", *sightings.c["is_latest", "observed_at", "id"])
Index("ix_sightings_kind", *sightings.c["is_latest", "kind_id", "observed_at", "id"])
Index("ix_sightings_hostname", *sightings.c["is_latest", "hostname_id", "observed_at", "id"])
Index("ix_sightings_block", *sightings.c["is_latest", "block", "observed_at", "id"])
Index("ix_sightings_scan", *sightings.c["scan_id", "is_latest", "observed_at", "id"])

# In small letters, cut; empty where there is none, so that they can be unique.
finding_kinds = Table(
    "finding_kinds",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("protocol", String(8), nullable=False),
    Column("port", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("service", PlainText, nullable=False),
    Column("product", PlainText, nullable=False),
)
Index("uq_finding_kinds", *finding_kinds.c["port", "protocol", "state", "service", "product"], unique=True)

found_hostnames = Table(
    "found_hostnames",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", PlainText, nullable=False, comment="in small letters"),
)
Index("uq_found_hostnames", found_hostnames.c.name, unique=True)

# The addresses of deleted scans: what they had found or proven closed is to be judged by what is left.
judge_again = Table(
    "judge_again",
    metadata,
    Column("scan_id", RecordId, primary_key=True),
    Column("addresses", PlainText, nullable=False, comment="first-last ranges, a line each"),
    Column("deleted_at", UtcDateTime, nullable=False),
)

NOT_TAKEN_IN = text("state IN ('done', 'cancelled') AND attempt > 0 AND NOT is_taken_in")
