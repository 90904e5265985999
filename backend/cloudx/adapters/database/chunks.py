"""Chunks and their leases. The order of locks everywhere: chunk, then scan; or scan and only unlocked chunks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, insert, or_, select, update

from cloudx.domain.chunks import LEASE_SECONDS, ChunkSpan, ChunkState, Lease, Verdict
from cloudx.domain.scans import Scan
from cloudx.services.records import AttemptRecord, ChunkRecord, SendingNow, WorkerShare

from .column_types import db_now
from .tables import attempts, chunks, scans

RETRY_AFTER_SECONDS = 2.0  # lets another node take a failed chunk first
_EXPIRED_BATCH = 500
_OPEN_SCANS = select(scans.c.id).where(scans.c.status.in_(("submitted", "running")))
_PENDING = chunks.c.state == ChunkState.PENDING.value
_LEASED = chunks.c.state == ChunkState.LEASED.value
# Where a chunk goes that is given back: to the next worker, or nowhere once its scan is over.
_BACK = case((chunks.c.scan_id.in_(_OPEN_SCANS), ChunkState.PENDING.value), else_=ChunkState.CANCELLED.value)


class SqlChunks:
    """Implements services.ports.Chunks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sending_now(self, scan_id: str, node_id: str) -> SendingNow:
        """What is granted now; two small index reads, however many chunks wait."""
        held = self._connection.execute(
            select(chunks.c.scan_id, chunks.c.node_id, chunks.c.worker_id, chunks.c.rate_pps, chunks.c.sending).where(
                _LEASED, or_(chunks.c.scan_id == scan_id, chunks.c.node_id == node_id)
            )
        ).all()
        mine = [row for row in held if row.scan_id == scan_id]
        left = select(scans.c.chunks_total - scans.c.chunks_done - scans.c.chunks_failed).where(scans.c.id == scan_id)
        waiting_for_replies = sum(1 for row in mine if not row.sending)
        return SendingNow(
            scan_granted_pps=sum(row.rate_pps for row in mine if row.sending),
            node_granted_pps=sum(row.rate_pps for row in held if row.node_id == node_id and row.sending),
            workers=frozenset(row.worker_id for row in mine),
            chunks_open=self._connection.execute(left).scalar_one() - waiting_for_replies,
        )

    def lease_next(self, scan: Scan, worker_id: str, node_id: str, rate_pps: int) -> Lease | None:
        """Lease the next chunk, those that failed on this node last."""
        failed_here = chunks.c.failed_nodes.contains(f"{node_id}\n", autoescape=True)
        for wanted in (~failed_here, failed_here):
            number = self._connection.execute(_next_claimable(scan.id, wanted)).scalar()
            if number is not None:
                return self._lease(scan.id, number, worker_id, node_id, rate_pps)
        return None

    def _lease(self, scan_id: str, number: int, worker_id: str, node_id: str, rate_pps: int) -> Lease:
        row = (
            self._connection.execute(
                update(chunks)
                .where(chunks.c.scan_id == scan_id, chunks.c.number == number)
                .values(
                    state=ChunkState.LEASED.value,
                    attempt=chunks.c.attempt + 1,
                    worker_id=worker_id,
                    node_id=node_id,
                    rate_pps=rate_pps,
                    lease_until=db_now(LEASE_SECONDS),
                    sending=True,
                    sent_share=0.0,
                )
                .returning(chunks)
            )
            .mappings()
            .one()
        )
        self._connection.execute(
            insert(attempts).values(
                scan_id=scan_id,
                number=number,
                attempt=row["attempt"],
                node_id=node_id,
                worker_id=worker_id,
                started_at=db_now(),
            )
        )
        return _lease(row)

    def renew(self, lease: Lease, sent_share: float, sending: bool) -> bool:
        """Extend a lease; False when it is not this attempt's any more or the scan is final."""
        still_wanted = and_(_held(lease), chunks.c.scan_id.in_(_OPEN_SCANS))
        changed = self._connection.execute(
            update(chunks)
            .where(still_wanted)
            .values(lease_until=db_now(LEASE_SECONDS), sent_share=sent_share, sending=sending)
        )
        return bool(changed.rowcount)

    def finish(self, lease: Lease, excluded_units: int) -> bool:
        """Mark done if the lease is still this attempt's."""
        return self._settle(lease, ChunkState.DONE, "done", excluded_units=excluded_units, sent_share=1.0)

    def failures_of(self, lease: Lease) -> tuple[int, tuple[str, ...]] | None:
        """(failures, failed nodes) if the lease is still this attempt's; locks the chunk."""
        query = select(chunks.c.failures, chunks.c.failed_nodes).where(_held(lease)).with_for_update()
        row = self._connection.execute(query).first()
        return (row.failures, tuple(row.failed_nodes.splitlines())) if row else None

    def record_failure(self, lease: Lease, verdict: Verdict, error: str) -> None:
        """Store the verdict on a failed run."""
        self._settle(
            lease,
            verdict.state if verdict.state is not ChunkState.PENDING else _BACK,
            "failed",
            failures=verdict.failures,
            failed_nodes="".join(f"{node}\n" for node in verdict.failed_nodes),
            last_error=error,
            available_at=db_now(RETRY_AFTER_SECONDS),
        )

    def release(self, lease: Lease, outcome: str) -> bool:
        """Give a chunk back untouched."""
        return self._settle(lease, _BACK, outcome, sent_share=0.0)

    def _settle(self, lease: Lease, state: str | ColumnElement[str], outcome: str, **values: Any) -> bool:
        changed = self._connection.execute(
            update(chunks).where(_held(lease)).values(state=state, sending=False, lease_until=None, **values)
        )
        if not changed.rowcount:
            return False
        this_try = and_(
            attempts.c.scan_id == lease.scan_id,
            attempts.c.number == lease.span.number,
            attempts.c.attempt == lease.attempt,
        )
        self._connection.execute(update(attempts).where(this_try).values(ended_at=db_now(), outcome=outcome))
        return True

    def expired(self) -> list[Lease]:
        """Leases that ran out, locked; those locked by others are skipped."""
        query = (
            select(chunks)
            .where(_LEASED, chunks.c.lease_until < db_now())
            .order_by(chunks.c.scan_id)  # reconcilers that meet lock the scans in one order
            .limit(_EXPIRED_BATCH)
            .with_for_update(skip_locked=True)
        )
        return [_lease(row) for row in self._connection.execute(query).mappings()]

    def cancel_pending(self, scan_id: str) -> None:
        """Cancel what nobody holds."""
        self._connection.execute(
            update(chunks).where(chunks.c.scan_id == scan_id, _PENDING).values(state=ChunkState.CANCELLED.value)
        )

    def shares(self, scan_id: str) -> list[WorkerShare]:
        """Who did and does how much."""
        done = func.count().filter(chunks.c.state == ChunkState.DONE.value)
        rate = func.coalesce(func.sum(chunks.c.rate_pps).filter(_LEASED, chunks.c.sending), 0)
        query = (
            select(chunks.c.node_id, done, rate)
            .where(chunks.c.scan_id == scan_id, chunks.c.node_id.is_not(None))
            .group_by(chunks.c.node_id)
            .order_by(chunks.c.node_id)
        )
        return [WorkerShare(node, count, int(pps)) for node, count, pps in self._connection.execute(query)]

    def records(self, scan_id: str, after: int, limit: int) -> list[ChunkRecord]:
        """Chunks by number."""
        query = (
            select(chunks)
            .where(chunks.c.scan_id == scan_id, chunks.c.number > after)
            .order_by(chunks.c.number)
            .limit(limit)
        )
        return [
            ChunkRecord(
                _span(row),
                ChunkState(row["state"]),
                row["attempt"],
                row["node_id"],
                row["excluded_units"],
                row["last_error"],
            )
            for row in self._connection.execute(query).mappings()
        ]

    def attempts(self, scan_id: str, first: int, last: int) -> list[AttemptRecord]:
        """The tries at a span of chunks, in order."""
        columns = [column for column in attempts.c if column.name != "scan_id"]
        query = (
            select(*columns)
            .where(attempts.c.scan_id == scan_id, attempts.c.number.between(first, last))
            .order_by(attempts.c.number, attempts.c.attempt)
        )
        return [AttemptRecord(**row) for row in self._connection.execute(query).mappings()]

    def first_error(self, scan_id: str) -> str | None:
        """The last words of the first failed chunk."""
        failed = and_(chunks.c.scan_id == scan_id, chunks.c.state == ChunkState.FAILED.value)
        query = select(chunks.c.last_error).where(failed).order_by(chunks.c.number).limit(1)
        return self._connection.execute(query).scalar()


def claimable() -> ColumnElement[bool]:
    """Nobody has it, and it is not in its back-off."""
    return and_(_PENDING, or_(chunks.c.available_at.is_(None), chunks.c.available_at <= db_now()))


def _next_claimable(scan_id: str, wanted: ColumnElement[bool]) -> Select[int]:
    return (
        select(chunks.c.number)
        .where(chunks.c.scan_id == scan_id, claimable(), wanted)
        .order_by(chunks.c.claim_order)
        .limit(1)
        .with_for_update(skip_locked=True)  # a delete may be taking the chunks away
    )


def _held(lease: Lease) -> ColumnElement[bool]:
    """The fence: this very attempt still holds the chunk."""
    return and_(
        chunks.c.scan_id == lease.scan_id,
        chunks.c.number == lease.span.number,
        chunks.c.attempt == lease.attempt,
        _LEASED,
    )


def _span(row: RowMapping) -> ChunkSpan:
    return ChunkSpan(row["number"], row["address_start"], row["address_count"], row["port_start"], row["port_count"])


def _lease(row: RowMapping) -> Lease:
    return Lease(
        scan_id=row["scan_id"],
        span=_span(row),
        attempt=row["attempt"],
        worker_id=row["worker_id"],
        node_id=row["node_id"],
        rate_pps=row["rate_pps"],
        expires_at=row["lease_until"],
    )
