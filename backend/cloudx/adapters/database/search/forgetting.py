"""What the search forgets with a scan."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, text

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.search_tables import judge_again, sightings
from cloudx.adapters.database.schema.tables import scan_targets, scans

LOCK = 0x636C6F7564787365  # "cloudxse"
_WAIT = text("SELECT pg_advisory_xact_lock(:key)")


def lock_search(connection: Connection) -> None:
    """Wait until nobody takes in, and keep it so: what is taken in meanwhile would outlive its scan.

    The first lock of its transaction: who takes in has it before any other. SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_WAIT, {"key": LOCK})


def forget_sightings(connection: Connection, scan_id: str) -> None:
    """Remove what a scan found, and leave word that its addresses are to be judged again by the scans that are left."""
    lock_search(connection)
    began = select(scans.c.id).where(scans.c.id == scan_id, scans.c.started_at.is_not(None))
    addresses = select(scan_targets.c.scan_id, scan_targets.c.addresses, db_now())
    words = addresses.where(scan_targets.c.scan_id.in_(began))
    connection.execute(insert(judge_again).from_select(["scan_id", "addresses", "deleted_at"], words))
    connection.execute(delete(sightings).where(sightings.c.scan_id == scan_id))
