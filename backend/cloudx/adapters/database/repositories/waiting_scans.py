"""The scans that a node's workers may claim from, who shares their rate, and those that nodes send for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, and_, case, func, or_, select

from cloudx.adapters.database.connection.column_types import db_now, plain
from cloudx.adapters.database.schema.tables import asking_workers, dispatches, nodes, scan_nodes, scans
from cloudx.domain.dispatch.states import DispatchState
from cloudx.domain.nodes import RAW_SOCKET
from cloudx.domain.tools import SCAN_TYPES, ScanType, scan_type_of
from cloudx.services.ledger.records import Holder, Participants, Queue, WaitingScan

from .chunk_rows import may_run
from .scan_rows import OPEN, type_of
from .server_functions import call

MOMENT_SECONDS = 3.0  # how long a worker counts as a participant after it asked for work or ended a chunk
ARRIVE_SECONDS = 5.0  # how long a dispatched worker counts before its first request
_FEW_SCANS = 16  # that a claim may look at: the one it is for, and its rivals
_RAW_TYPES = [f"{tool} {name}" for (tool, name), scan_type in SCAN_TYPES.items() if scan_type.needs_raw_socket]


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
        .where(may_run())
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


def asked_for_on(connection: Connection, node_id: str) -> frozenset[str]:
    """The scans of which a worker that serves them alone has requested a chunk on this node just now, on SQLite."""
    asking = asking_workers.c
    is_recent = asking.asked_at > db_now(-MOMENT_SECONDS)
    query = select(asking.only_scan).where(asking.node_id == plain(node_id), is_recent, asking.only_scan.is_not(None))
    return frozenset(connection.execute(query).scalars())


def queue_of(connection: Connection, node_id: str, only_scan: str | None) -> Queue:
    """All of it on PostgreSQL, by one call, with the participants of the one scan, or of each where they are few."""
    arguments = (plain(node_id), only_scan, _RAW_TYPES, _FEW_SCANS, MOMENT_SECONDS, ARRIVE_SECONDS)
    rows = call(connection, "waiting_scans", *arguments)
    who_shares = {row[0]: row[11:] for row in rows}
    return Queue(
        tuple(_waiting_scan(*row[:10]) for row in rows),
        frozenset(row[0] for row in rows if row[10]),
        # The last column is a count, and null only where they were not read.
        {scan_id: _participants(*row) for scan_id, row in who_shares.items() if row[-1] is not None},
    )


def _waiting_scan(scan_id: str, tool: str, type_name: str, udp_too: bool, rate_pps: int, *rest: Any) -> WaitingScan:
    chunks_open, *others = rest
    return WaitingScan(scan_id, scan_type_of(tool, type_name, udp_too), rate_pps, int(chunks_open), *others)


def participants_by_function(connection: Connection, scan_id: str, scan_type: ScanType, node_id: str) -> Participants:
    """Who shares a scan's rate, as a claim for the node sees it, on PostgreSQL."""
    needs_raw = scan_type.needs_raw_socket
    arguments = (plain(node_id), scan_type.tool.value, needs_raw, MOMENT_SECONDS, ARRIVE_SECONDS)
    (row,) = call(connection, "participants", scan_id, *arguments)
    return _participants(*row)


def _participants(limits: Sequence[int | None] | None, nodes_each: Sequence[int] | None, *here: Any) -> Participants:
    is_here, limit_here_pps, granted_here_pps, granted_pps, sent_for = here
    others = tuple(zip(limits or (), nodes_each or (), strict=True))
    return Participants(others, sent_for, is_here, limit_here_pps, granted_here_pps, granted_pps)


def participants_by_statements(connection: Connection, scan_id: str, scan_type: ScanType, node_id: str) -> Participants:
    """The same on SQLite."""
    by_node, here = scan_nodes.c, plain(node_id)
    there: frozenset[str] = frozenset(connection.execute(_taking_part(scan_id, scan_type)).scalars())
    limited = select(nodes.c.node_id, nodes.c.rate_limit_pps).where(nodes.c.node_id.in_(there | {here}))
    limits = {row[0]: row[1] for row in connection.execute(limited)}
    granted = select(by_node.node_id, by_node.granted_pps).where(by_node.scan_id == scan_id, by_node.granted_pps > 0)
    granted_pps = {row[0]: row[1] for row in connection.execute(granted)}
    sent_for = and_(
        dispatches.c.scan_id == scan_id,
        dispatches.c.state != DispatchState.ENDED.value,
        dispatches.c.created_at > db_now(-ARRIVE_SECONDS),
    )
    return Participants(
        tuple(Counter(limits.get(node) for node in there - {here}).items()),
        connection.execute(select(func.count()).select_from(dispatches).where(sent_for)).scalar_one(),
        here in there,
        limits.get(here),
        granted_pps.get(here, 0),
        sum(granted_pps.values()),
    )


def _taking_part(scan_id: str, scan_type: ScanType) -> CompoundSelect[Any]:
    """The nodes that work on a scan, did so or requested it just now."""
    by_node, asking = scan_nodes.c, asking_workers.c
    is_active = or_(by_node.chunks_leased > 0, by_node.moved_at > db_now(-MOMENT_SECONDS))
    needed_capabilities = [scan_type.tool.value, *([RAW_SOCKET] if scan_type.needs_raw_socket else [])]
    asks = and_(
        asking.asked_at > db_now(-MOMENT_SECONDS),
        or_(asking.only_scan.is_(None), asking.only_scan == scan_id),
        *(asking.capabilities.contains(f",{name},", autoescape=True) for name in needed_capabilities),
    )
    works = select(by_node.node_id).where(by_node.scan_id == scan_id, is_active)
    return works.union(select(asking.node_id).where(asks))


def holders(connection: Connection, limit: int) -> list[Holder]:
    """The open scans that nodes send for now; those that go first and hold most come first."""
    granted = func.sum(scan_nodes.c.granted_pps)
    public_id = func.coalesce(scans.c.follows, scans.c.id)
    query = (
        select(public_id, scans.c.created_by, scans.c.priority, granted)
        .join(scan_nodes, scan_nodes.c.scan_id == scans.c.id)
        .where(scans.c.status.in_(OPEN))
        .group_by(public_id, scans.c.created_by, scans.c.priority)
        .having(granted > 0)
        .order_by(scans.c.priority.desc(), granted.desc())
        .limit(limit)
    )
    return [Holder(row[0], row[1], row[2], int(row[3])) for row in connection.execute(query)]
