"""Chunks and their leases.

Lock order: leased chunks, scan row, pending chunks, counter rows (by triggers: node_grants, then scan_nodes, node by
node); to lock in another order use SKIP LOCKED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, select, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now, plain
from cloudx.adapters.database.schema.tables import attempts, chunks, scan_nodes, scans
from cloudx.domain.chunks import ChunkState, Lease, Verdict
from cloudx.domain.coverage import Unprobed
from cloudx.services.ledger.records import AttemptRecord, ChunkRecord, Settled, WorkerShare
from cloudx.services.ledger.scans import Chunks

from .chunk_rows import LEASED, OPEN_SCANS, PENDING, held, lease_of, span_of
from .scan_rows import OPEN
from .server_functions import call, fence_of

_EXPIRED_BATCH = 500
# The state of a returned chunk: pending for the next worker, or cancelled once its scan is over.
_RETURNED = case((chunks.c.scan_id.in_(OPEN_SCANS), ChunkState.PENDING.value), else_=ChunkState.CANCELLED.value)


class SqlChunks(Chunks):
    """Implements Chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def finish(
        self, lease: Lease, excluded_units: int, unprobed: Unprobed | None = None, packets_sent: int | None = None
    ) -> Settled:
        counted: dict[str, Any] = {"excluded_units": excluded_units}
        if unprobed:
            each = lease.span.port_count
            counted["failed_units"] = unprobed.addresses.size * each
            counted["not_reached_units"] = unprobed.timed_out * each
            counted["last_error"] = unprobed.reason
        return self._settle(lease, "done", packets_sent, sent_share=1.0, **counted)

    @override
    def stop(self, lease: Lease, sent_share: float, reason: str, packets_sent: int | None = None) -> Settled:
        is_open = select(scans.c.id).where(scans.c.id == lease.scan_id, scans.c.status.in_(OPEN))
        if self._connection.execute(is_open).first() is not None:
            return Settled.LOST
        words: dict[str, Any] = {"sent_share": sent_share, "last_error": reason}
        return self._settle(lease, "stopped", packets_sent, **words)

    @override
    def failures_of(self, lease: Lease) -> tuple[int, tuple[str, ...]] | None:
        query = select(chunks.c.failures, chunks.c.failed_nodes).where(held(lease)).with_for_update()
        row = self._connection.execute(query).first()
        return (row.failures, tuple(row.failed_nodes.splitlines())) if row else None

    @override
    def record_failure(self, lease: Lease, verdict: Verdict, error: str, packets_sent: int | None = None) -> None:
        self._settle(
            lease,
            "failed",
            packets_sent,
            is_final=verdict.state is ChunkState.FAILED,
            failures=verdict.failures,
            failed_nodes="".join(f"{node}\n" for node in verdict.failed_nodes),
            last_error=error,
            wait_seconds=verdict.retry_seconds,
        )

    @override
    def refuse(self, lease: Lease, failed_nodes: Sequence[str]) -> None:
        lines = "".join(f"{node}\n" for node in failed_nodes)
        self._settle(lease, "unreachable", sent_share=0.0, failed_nodes=lines)

    @override
    def release(self, lease: Lease, outcome: str) -> Settled:
        return self._settle(lease, outcome, sent_share=0.0)

    def _settle(
        self,
        lease: Lease,
        outcome: str,
        packets_sent: int | None = None,
        *,
        is_final: bool = False,
        wait_seconds: float | None = None,
        **values: Any,
    ) -> Settled:
        """End the lease; `values` are those of the chunk's columns that its outcome changes."""
        values |= {"state": _state_after(outcome, is_final), "sending": False, "lease_until": None}
        if wait_seconds is not None:
            values["available_at"] = db_now(wait_seconds)
        changed = self._connection.execute(update(chunks).where(held(lease)).values(**values))
        if not changed.rowcount:
            return Settled.LOST
        ended = {"ended_at": db_now(), "outcome": outcome, "packets_sent": packets_sent}
        self._connection.execute(update(attempts).where(_of_attempt(lease)).values(**ended))
        return Settled.MAY_BE_LAST

    @override
    def note_source(self, lease: Lease, source_ip: str) -> bool:
        if self._connection.execute(select(chunks.c.number).where(held(lease))).first() is None:
            return False
        unknown = and_(_of_attempt(lease), attempts.c.source_ip.is_(None))
        self._connection.execute(update(attempts).where(unknown).values(source_ip=source_ip))
        return True

    @override
    def expired(self) -> list[Lease]:
        query = (
            select(chunks)
            .where(LEASED, chunks.c.lease_until < db_now())
            .order_by(chunks.c.node_id, chunks.c.scan_id)  # the lock order of reconcilers that meet
            .limit(_EXPIRED_BATCH)
            .with_for_update(skip_locked=True)
        )
        return [lease_of(row) for row in self._connection.execute(query).mappings()]

    @override
    def cancel_pending(self, scan_id: str) -> None:
        self._connection.execute(
            update(chunks).where(chunks.c.scan_id == scan_id, PENDING).values(state=ChunkState.CANCELLED.value)
        )

    @override
    def shares(self, scan_id: str) -> list[WorkerShare]:
        by_node = scan_nodes.c
        query = select(by_node.node_id, by_node.chunks_done, by_node.granted_pps).where(by_node.scan_id == scan_id)
        return [WorkerShare(*row) for row in self._connection.execute(query.order_by(by_node.node_id))]

    @override
    def records(self, scan_id: str, after: int, limit: int) -> list[ChunkRecord]:
        query = (
            select(chunks)
            .where(chunks.c.scan_id == scan_id, chunks.c.number > after)
            .order_by(chunks.c.number)
            .limit(limit)
        )
        return [
            ChunkRecord(
                span_of(row),
                ChunkState(row["state"]),
                row["attempt"],
                row["node_id"],
                row["excluded_units"],
                row["failed_units"],
                row["last_error"],
                row["sent_share"],
            )
            for row in self._connection.execute(query).mappings()
        ]

    @override
    def attempts(self, scan_id: str, first: int, last: int) -> list[AttemptRecord]:
        columns = [attempts.c[field.name] for field in fields(AttemptRecord)]
        query = (
            select(*columns)
            .where(attempts.c.scan_id == scan_id, attempts.c.number.between(first, last))
            .order_by(attempts.c.number, attempts.c.attempt)
        )
        return [AttemptRecord(**row) for row in self._connection.execute(query).mappings()]

    @override
    def packets_sent(self, scan_id: str) -> int | None:
        query = select(func.sum(attempts.c.packets_sent)).where(attempts.c.scan_id == scan_id)
        counted = self._connection.execute(query).scalar()
        return None if counted is None else int(counted)

    @override
    def unprobed(self, scan_id: str, limit: int) -> list[tuple[int, str]]:
        where = and_(chunks.c.scan_id == scan_id, chunks.c.state == ChunkState.DONE.value, chunks.c.failed_units > 0)
        query = select(chunks.c.failed_units, chunks.c.last_error).where(where).order_by(chunks.c.number).limit(limit)
        return [(units, words or "") for units, words in self._connection.execute(query)]

    @override
    def not_reached(self, scan_id: str) -> int:
        where = and_(chunks.c.scan_id == scan_id, chunks.c.state == ChunkState.DONE.value)
        units = func.coalesce(func.sum(chunks.c.not_reached_units), 0)
        return int(self._connection.execute(select(units).where(where)).scalar_one())

    @override
    def first_error(self, scan_id: str) -> str | None:
        failed = and_(chunks.c.scan_id == scan_id, chunks.c.state == ChunkState.FAILED.value)
        query = select(chunks.c.last_error).where(failed).order_by(chunks.c.number).limit(1)
        return self._connection.execute(query).scalar()


def _of_attempt(lease: Lease) -> ColumnElement[bool]:
    keys = attempts.c
    return and_(keys.scan_id == lease.scan_id, keys.number == lease.span.number, keys.attempt == lease.attempt)


def _state_after(outcome: str, is_final: bool) -> str | ColumnElement[str]:
    """As in sql/settle_chunk.sql."""
    if outcome == "done":
        return ChunkState.DONE.value
    if outcome == "failed" and is_final:
        return ChunkState.FAILED.value
    return ChunkState.CANCELLED.value if outcome == "stopped" else _RETURNED


class PostgresChunks(SqlChunks):
    """Ends leases by functions of the server, which a worker's login needs (docs/adr/0026)."""

    @override
    def failures_of(self, lease: Lease) -> tuple[int, tuple[str, ...]] | None:
        rows = call(self._connection, "lock_chunk", *fence_of(lease))
        return (rows[0][0], tuple(rows[0][1].splitlines())) if rows else None

    @override
    def note_source(self, lease: Lease, source_ip: str) -> bool:
        return bool(call(self._connection, "note_source", *fence_of(lease), source_ip)[0][0])

    @override
    def _settle(
        self,
        lease: Lease,
        outcome: str,
        packets_sent: int | None = None,
        *,
        is_final: bool = False,
        wait_seconds: float | None = None,
        **values: Any,
    ) -> Settled:
        error, nodes = values.get("last_error"), values.get("failed_nodes")
        rows = call(
            self._connection,
            "settle_chunk",
            *fence_of(lease),
            outcome,
            is_final,
            values.get("sent_share"),
            packets_sent,
            error if error is None else plain(error),
            values.get("excluded_units"),
            values.get("failed_units"),
            values.get("not_reached_units"),
            values.get("failures"),
            nodes if nodes is None else plain(nodes),
            wait_seconds,
        )
        ((is_ours, may_be_last),) = rows
        if not is_ours:
            return Settled.LOST
        return Settled.MAY_BE_LAST if may_be_last else Settled.MORE_WAITS


def chunks_on(connection: Connection) -> SqlChunks:
    """Chunks for the database of a connection."""
    return PostgresChunks(connection) if connection.dialect.name == "postgresql" else SqlChunks(connection)
