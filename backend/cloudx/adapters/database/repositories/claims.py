"""Claims and renewals. PostgreSQL does each in one statement (sql/), SQLite under its one write lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, timedelta
from typing import Any

import psycopg2
from sqlalchemy import ColumnElement, Connection, Float, and_, cast, delete, func, insert, or_, select, update
from sqlalchemy.dialects import sqlite
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now, plain
from cloudx.adapters.database.connection.outages import translated
from cloudx.adapters.database.schema.tables import (
    asking_workers,
    attempts,
    chunks,
    node_grants,
    nodes,
    policy_version,
    scan_nodes,
    scans,
)
from cloudx.domain.chunks import LEASE_SECONDS, ChunkSpan, ChunkState, Lease, refusal_of
from cloudx.domain.rates.grants import grant_pps
from cloudx.domain.rates.prefix_caps import FULL_PART, zone_free_pps
from cloudx.domain.scans import ScanStatus
from cloudx.domain.tools import ScanType
from cloudx.services.ledger.records import (
    Asking,
    ClaimRequest,
    Leased,
    NodeLoad,
    Participants,
    Queue,
    Refusal,
    Renewed,
    RunReport,
)
from cloudx.services.ledger.scans import Claims

from .chunk_rows import LEASED, claimable, held, lease_of, may_run, span_values
from .scan_rows import OPEN
from .server_functions import LEASE_KEY, call, call_untranslated
from .waiting_scans import asked_for_on, participants_by_function, participants_by_statements, queue_of, waiting_scans

_FORGET_ASKING_SECONDS = 60.0
MAX_COLLISIONS = 5
_COLLISION = "CX001"  # raised by cloudx_claim_chunk


class _AnyDatabase(Claims):
    """What both databases share."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection


class PostgresClaims(_AnyDatabase):
    """Implements Claims by functions of the server."""

    @override
    def queue(self, node_id: str, only_scan: str | None) -> Queue:
        return queue_of(self._connection, node_id, only_scan)

    @override
    def participants_of(self, scan_id: str, scan_type: ScanType, node_id: str) -> Participants:
        return participants_by_function(self._connection, scan_id, scan_type, node_id)

    @override
    def load_of(self, scan_id: str, node_id: str) -> NodeLoad:
        (load,) = call(self._connection, "node_load", scan_id, plain(node_id))
        return NodeLoad(*load)

    @override
    def note_asking(self, asking: Asking) -> None:
        who = (plain(asking.worker_id), plain(asking.node_id), plain(_words(asking.capabilities)), asking.only_scan)
        call(self._connection, "note_asking", *who, asking.rests_seconds, _FORGET_ASKING_SECONDS)

    @override
    def claim(self, request: ClaimRequest) -> Leased | Refusal:
        arguments = (
            request.scan_id,
            plain(request.worker_id),
            LEASE_KEY,
            plain(request.node_id),
            request.share_pps,
            request.node_limit_pps,
            LEASE_SECONDS,
        )
        function = "claim_in_zone" if request.has_prefix_caps else "claim_chunk"
        outcome, number, address_start, address_count, port_start, port_count, *rest = self._take(function, arguments)
        if outcome != ChunkState.LEASED.value:
            return Refusal(outcome)
        attempt, rate_pps, lease_until, policy_version = rest
        span = ChunkSpan(number, address_start, address_count, port_start, port_count)
        lease_until = lease_until.astimezone(UTC)
        lease = Lease(request.scan_id, span, attempt, request.worker_id, request.node_id, rate_pps, lease_until)
        return Leased(lease, policy_version, lease_until - timedelta(seconds=LEASE_SECONDS))

    def _take(self, function: str, arguments: tuple[object, ...]) -> tuple[Any, ...]:
        """Claim, and again after a collision: each time some other claim got what was free."""
        for _ in range(MAX_COLLISIONS):
            try:
                return call_untranslated(self._connection, function, *arguments)[0]
            except psycopg2.Error as error:
                if error.pgcode != _COLLISION:
                    raise translated(error) from error
                self._connection.rollback()
        return (Refusal.NO_RATE.value, *[None] * 9)

    @override
    def renew(self, worker_id: str, reports: Sequence[RunReport]) -> Renewed:
        leases = [report.lease for report in reports]
        rows = sorted(
            call(
                self._connection,
                "renew_chunks",
                plain(worker_id),
                LEASE_KEY,
                _array(lease.scan_id for lease in leases),
                _array(lease.span.number for lease in leases),
                _array(lease.attempt for lease in leases),
                _array(report.sent_share for report in reports),
                _array(report.sending for report in reports),
                LEASE_SECONDS,
            )
        )
        (_, _, policy_version, now), *_ = rows
        return Renewed(tuple(is_held for _, is_held, *_ in rows), policy_version, now.astimezone(UTC))


class SqliteClaims(_AnyDatabase):
    """Implements Claims statement by statement: SQLite has one writer at a time."""

    @override
    def queue(self, node_id: str, only_scan: str | None) -> Queue:
        scans_there = tuple(waiting_scans(self._connection, node_id))
        return Queue(scans_there, asked_for_on(self._connection, node_id) if len(scans_there) > 1 else frozenset())

    @override
    def participants_of(self, scan_id: str, scan_type: ScanType, node_id: str) -> Participants:
        return participants_by_statements(self._connection, scan_id, scan_type, node_id)

    @override
    def load_of(self, scan_id: str, node_id: str) -> NodeLoad:
        granted = select(node_grants.c.granted_pps).where(node_grants.c.node_id == node_id).scalar_subquery()
        of_scan = and_(scan_nodes.c.scan_id == scan_id, scan_nodes.c.node_id == node_id)
        runs = select(scan_nodes.c.chunks_sending).where(of_scan).scalar_subquery()
        return NodeLoad(*self._connection.execute(select(func.coalesce(granted, 0), func.coalesce(runs, 0))).one())

    @override
    def note_asking(self, asking: Asking) -> None:
        noted, node_id = asking_workers.c, asking.node_id
        values = {
            "only_scan": asking.only_scan,
            "capabilities": _words(asking.capabilities),
            "asked_at": db_now(asking.rests_seconds),
        }
        self._connection.execute(
            sqlite.insert(asking_workers)
            .values(node_id=node_id, worker_id=asking.worker_id, **values)
            .on_conflict_do_update(index_elements=["node_id", "worker_id"], set_=values)
        )
        # Earlier workers of the node left theirs behind.
        is_over = noted.asked_at < db_now(-_FORGET_ASKING_SECONDS)
        self._connection.execute(delete(asking_workers).where(noted.node_id == node_id, is_over))

    @override
    def claim(self, request: ClaimRequest) -> Leased | Refusal:
        scan = self._connection.execute(
            select(scans.c.rate_pps, scans.c.status, may_run().label("may_run")).where(scans.c.id == request.scan_id)
        ).first()
        if scan is None or scan.status not in OPEN:
            return Refusal.OVER
        if not scan.may_run:
            return Refusal.NO_CHUNK
        rate_pps = self._grant(request, scan.rate_pps)
        if isinstance(rate_pps, Refusal):
            return rate_pps
        parts = self._zone_parts(request) if request.has_prefix_caps else {}
        number = self._next_number(request, parts)
        if number is None:
            return Refusal.NO_RATE if parts and self._next_number(request, {}) is not None else Refusal.NO_CHUNK
        if request.has_prefix_caps:
            rate_pps = min(rate_pps, self._zone_free_pps(request, number, parts))
        if rate_pps == 0:
            return Refusal.NO_RATE
        if scan.status == ScanStatus.SUBMITTED.value:
            running = {"status": ScanStatus.RUNNING.value, "started_at": db_now()}
            self._connection.execute(update(scans).where(scans.c.id == request.scan_id).values(**running))
        return self._lease(request, number, rate_pps)

    def _grant(self, request: ClaimRequest, scan_rate_pps: int) -> int | Refusal:
        registered = self._sum(nodes.c.rate_limit_pps, nodes.c.node_id == request.node_id)
        limit_pps = min(request.node_limit_pps, registered or request.node_limit_pps)
        node_free = limit_pps - self._sum(node_grants.c.granted_pps, node_grants.c.node_id == request.node_id)
        scan_free = scan_rate_pps - self._sum(scan_nodes.c.granted_pps, scan_nodes.c.scan_id == request.scan_id)
        if granted := grant_pps(request.share_pps, limit_pps, scan_free, node_free):
            return granted
        is_node_full = grant_pps(request.share_pps, limit_pps, node_free, node_free) == 0
        return Refusal.NODE_FULL if is_node_full else Refusal.NO_RATE

    def _sum(self, column: ColumnElement[int], which: ColumnElement[bool]) -> int:
        return int(self._connection.execute(select(func.coalesce(func.sum(column), 0)).where(which)).scalar_one())

    def _zone_parts(self, request: ClaimRequest) -> dict[int, float]:
        """Which part of each zone of the scan is in use (docs/adr/0045)."""
        part = func.sum(cast(chunks.c.rate_pps, Float) / chunks.c.zone_limit_pps)
        in_use = (chunks.c.scan_id == request.scan_id, LEASED, chunks.c.zone_limit_pps.is_not(None))
        query = select(chunks.c.zone, part).where(*in_use).group_by(chunks.c.zone)
        return {zone: float(used) for zone, used in self._connection.execute(query)}

    def _zone_free_pps(self, request: ClaimRequest, number: int, parts: dict[int, float]) -> int:
        of_chunk = (chunks.c.scan_id == request.scan_id, chunks.c.number == number)
        query = select(chunks.c.zone, chunks.c.zone_limit_pps).where(*of_chunk)
        zone, limit_pps = self._connection.execute(query).one()
        return zone_free_pps(limit_pps, parts.get(zone, 0.0))

    def _next_number(self, request: ClaimRequest, zone_parts: dict[int, float]) -> int | None:
        """The next chunk in claim order; one that failed on this node comes last, one that it cannot send to never.

        A zone that is in use over a half gives none.
        """
        full = [zone for zone, part in zone_parts.items() if part > FULL_PART]
        has_room = or_(chunks.c.zone.is_(None), chunks.c.zone.not_in(full))
        node = plain(request.node_id) or ""
        failed_here = func.instr("\n" + chunks.c.failed_nodes, f"\n{node}\n") > 0
        refused_here = func.instr("\n" + chunks.c.failed_nodes, f"\n{refusal_of(node)}\n") > 0
        for preference in (~failed_here, failed_here):
            query = (
                select(chunks.c.number)
                .where(chunks.c.scan_id == request.scan_id, claimable(), ~refused_here, preference, has_room)
                .order_by(chunks.c.claim_order)
                .limit(1)
            )
            number = self._connection.execute(query).scalar()
            if number is not None:
                return int(number)
        return None

    def _lease(self, request: ClaimRequest, number: int, rate_pps: int) -> Leased:
        leased = {
            "state": ChunkState.LEASED.value,
            "attempt": chunks.c.attempt + 1,
            "worker_id": request.worker_id,
            "node_id": request.node_id,
            "rate_pps": rate_pps,
            "lease_until": db_now(LEASE_SECONDS),
            "sending": True,
            "sent_share": 0.0,
        }
        of_chunk = and_(chunks.c.scan_id == request.scan_id, chunks.c.number == number)
        statement = update(chunks).where(of_chunk).values(**leased).returning(chunks)
        row = self._connection.execute(statement).mappings().one()
        lease = lease_of(row)
        version = self._policy_version()
        attempt = {"scan_id": request.scan_id, "number": number, "attempt": lease.attempt, "started_at": db_now()}
        seen = {"node_id": request.node_id, "worker_id": request.worker_id, "policy_version": version}
        self._connection.execute(insert(attempts).values(**attempt, **seen, **span_values(lease.span)))
        return Leased(lease, version, lease.expires_at - timedelta(seconds=LEASE_SECONDS))

    @override
    def renew(self, worker_id: str, reports: Sequence[RunReport]) -> Renewed:
        still_held = tuple(self._renew(report) for report in reports)
        now = self._connection.execute(select(db_now())).scalar_one()
        return Renewed(still_held, self._policy_version(), now)

    def _renew(self, report: RunReport) -> bool:
        changed = self._connection.execute(
            update(chunks)
            .where(held(report.lease), chunks.c.scan_id.in_(select(scans.c.id).where(may_run())))
            .values(lease_until=db_now(LEASE_SECONDS), sent_share=report.sent_share, sending=report.sending)
        )
        return bool(changed.rowcount)

    def _policy_version(self) -> int:
        return int(self._connection.execute(select(policy_version.c.version)).scalar_one())


def _words(capabilities: tuple[str, ...]) -> str:
    return f",{','.join(capabilities)},"


def _array(values: Iterable[object]) -> str:
    """As PostgreSQL writes an array of any type; none of these values holds a comma or a quote."""
    return f"{{{','.join(map(str, values))}}}"


def claims_on(connection: Connection) -> PostgresClaims | SqliteClaims:
    """Claims for the database of a connection."""
    return PostgresClaims(connection) if connection.dialect.name == "postgresql" else SqliteClaims(connection)
