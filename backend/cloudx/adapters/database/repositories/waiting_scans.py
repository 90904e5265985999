"""The scans that a node's workers may claim from, and those that nodes send for."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select

from cloudx.adapters.database.connection.column_types import plain
from cloudx.adapters.database.schema.tables import scan_nodes, scans
from cloudx.services.ledger.records import Holder, WaitingScan

from .scan_rows import OPEN, type_of


def waiting_scans(connection: Connection, node_id: str) -> list[WaitingScan]:
    """Scans with a pending chunk, as a claim for this node sees them; highest priority first, then oldest."""
    by_node = scan_nodes.c
    is_here = by_node.node_id == plain(node_id)
    held_here = func.coalesce(func.sum(case((is_here, by_node.granted_pps), else_=0)), 0)
    settled = func.coalesce(func.sum(by_node.chunks_done + by_node.chunks_failed), 0)
    leased = func.coalesce(func.sum(by_node.chunks_leased), 0)
    sending = func.coalesce(func.sum(by_node.chunks_sending), 0)
    pending = scans.c.chunks_total - settled - leased
    query = (
        select(
            *(scans.c[name] for name in ("id", "tool", "type_name", "rate_pps", "priority", "created_by")),
            (pending + sending).label("chunks"),
            held_here.label("held"),
            func.max(case((is_here, by_node.moved_at))).label("served_at"),
            scans.c.udp_too,
        )
        .outerjoin_from(scans, scan_nodes, by_node.scan_id == scans.c.id)
        .where(scans.c.status.in_(OPEN))
        .group_by(scans.c.id)
        .having(pending > 0)
        .order_by(scans.c.priority.desc(), scans.c.id)
    )
    return [
        WaitingScan(
            row.id,
            type_of(row),
            row.rate_pps,
            int(row.chunks),
            row.priority,
            row.created_by,
            int(row.held),
            row.served_at,
        )
        for row in connection.execute(query)
    ]


def holders(connection: Connection, limit: int) -> list[Holder]:
    """The open scans that nodes send for now; those that go first and hold most come first."""
    granted = func.sum(scan_nodes.c.granted_pps)
    query = (
        select(scans.c.id, scans.c.created_by, scans.c.priority, granted)
        .join(scan_nodes, scan_nodes.c.scan_id == scans.c.id)
        .where(scans.c.status.in_(OPEN))
        .group_by(scans.c.id)
        .having(granted > 0)
        .order_by(scans.c.priority.desc(), granted.desc())
        .limit(limit)
    )
    return [Holder(row[0], row[1], row[2], int(row[3])) for row in connection.execute(query)]
