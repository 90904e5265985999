"""Rows of the chunks table as the domain's objects, and the conditions that every statement on them shares."""

from __future__ import annotations

from sqlalchemy import ColumnElement, RowMapping, and_, or_, select

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import chunks, scans
from cloudx.domain.chunks import ChunkSpan, ChunkState, Lease

from .scan_rows import OPEN

OPEN_SCANS = select(scans.c.id).where(scans.c.status.in_(OPEN))
PENDING = chunks.c.state == ChunkState.PENDING.value
LEASED = chunks.c.state == ChunkState.LEASED.value


def may_run() -> ColumnElement[bool]:
    """True for an open scan that nothing holds: neither a pause nor its hours. As in sql/claim_chunk.sql."""
    now, hold = db_now(), scans.c
    is_open = or_(hold.opens_at.is_(None), hold.opens_at <= now), or_(hold.closes_at.is_(None), hold.closes_at > now)
    return and_(hold.status.in_(OPEN), hold.paused_at.is_(None), *is_open)


def claimable() -> ColumnElement[bool]:
    """True for a pending chunk that is not in its back-off."""
    return and_(PENDING, or_(chunks.c.available_at.is_(None), chunks.c.available_at <= db_now()))


def held(lease: Lease) -> ColumnElement[bool]:
    """The fence: this attempt of this worker still holds the chunk.

    The attempt's number is not enough: if a crash takes a claim back, the next claim gets the same number.
    """
    return and_(
        chunks.c.scan_id == lease.scan_id,
        chunks.c.number == lease.span.number,
        chunks.c.attempt == lease.attempt,
        chunks.c.worker_id == lease.worker_id,
        LEASED,
    )


def span_of(row: RowMapping) -> ChunkSpan:
    """What a chunk covers."""
    return ChunkSpan(row["number"], row["address_start"], row["address_count"], row["port_start"], row["port_count"])


def span_values(span: ChunkSpan) -> dict[str, int]:
    """The columns that say what a chunk covers."""
    return {
        "address_start": span.address_start,
        "address_count": span.address_count,
        "port_start": span.port_start,
        "port_count": span.port_count,
    }


def lease_of(row: RowMapping) -> Lease:
    """The lease of a leased chunk."""
    return Lease(
        scan_id=row["scan_id"],
        span=span_of(row),
        attempt=row["attempt"],
        worker_id=row["worker_id"],
        node_id=row["node_id"],
        rate_pps=row["rate_pps"],
        expires_at=row["lease_until"],
    )
