"""What keeps open scans from running."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from cloudx.adapters.database.repositories.scan_rows import OPEN, hold_of
from cloudx.adapters.database.schema.tables import scans
from cloudx.services.ledger.records import OpenHold

_HELD = scans.c["id", "paused_at", "paused_by", "paused_seconds", "opens_at", "closes_at"]


def open_holds(connection: Connection, only_with_hours: bool) -> list[OpenHold]:
    """Those of all scans that are not over, or of those that have hours; a second stage has its first one's."""
    query = select(*_HELD).where(scans.c.status.in_(OPEN), scans.c.follows.is_(None))
    if only_with_hours:
        query = query.where(or_(scans.c.opens_at.is_not(None), scans.c.closes_at.is_not(None)))
    return [OpenHold(row["id"], hold_of(row)) for row in connection.execute(query).mappings()]
