"""The dispatches of scan workers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select, text, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import attempts, chunks, dispatches, scan_nodes, scans
from cloudx.domain.chunks import ChunkState
from cloudx.domain.dispatch.states import Dispatch, DispatchOutcome, DispatchState
from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.dispatches import Dispatches, DispatchSnapshot, OpenScan

from .chunk_rows import may_run
from .scan_rows import OPEN, type_of

CHANNEL = "cloudx_dispatch"
NOTICE_NUMBER = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"  # of the channel's notices: it grows
HISTORY = 40  # ended rows of each scan in a snapshot: one wave over a whole fleet
WORKERS_LEAVE_SECONDS = 5.0  # a completed scan's workers end by themselves
_NOT_ENDED = dispatches.c.state != DispatchState.ENDED.value


class SqlDispatches(Dispatches):
    """Implements Dispatches."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def snapshot(self) -> DispatchSnapshot:
        return DispatchSnapshot(
            now=self._connection.execute(select(db_now())).scalar_one(),
            scans=self._open_scans(),
            dispatches=self._rows(),
            leaving=self._leaving(),
        )

    def _open_scans(self) -> Sequence[OpenScan]:
        by_node = scan_nodes.c
        leased = func.coalesce(func.sum(by_node.chunks_leased), 0)
        unsettled = scans.c.chunks_total - func.coalesce(func.sum(by_node.chunks_done + by_node.chunks_failed), 0)
        columns = (
            scans.c.id,
            scans.c.tool,
            scans.c.type_name,
            scans.c.max_workers,
            scans.c.waiting_reason,
            scans.c.udp_too,
        )
        query = (
            select(*columns, leased.label("leased"), unsettled.label("unsettled"))
            .outerjoin_from(scans, scan_nodes, by_node.scan_id == scans.c.id)
            .where(may_run())  # a held scan has no demand, so its workers are ended
            .group_by(scans.c.id)
            .order_by(scans.c.priority.desc(), scans.c.id)
        )
        return [
            OpenScan(
                scan_id=row.id,
                type=type_of(row),
                pending=int(row.unsettled - row.leased),
                leased=int(row.leased),
                max_workers=row.max_workers,
                waiting_reason=row.waiting_reason,
            )
            for row in self._connection.execute(query)
        ]

    def _rows(self) -> list[Dispatch]:
        """The dispatches that have not ended, then the newest ended ones of each open scan."""
        recency = func.row_number().over(partition_by=dispatches.c.scan_id, order_by=dispatches.c.serial.desc())
        open_scans = select(scans.c.id).where(scans.c.status.in_(OPEN))
        ended = and_(dispatches.c.state == DispatchState.ENDED.value, dispatches.c.scan_id.in_(open_scans))
        ranked = select(dispatches, recency.label("recency")).where(ended).subquery()
        newest = select(*(ranked.c[column.name] for column in dispatches.c)).where(ranked.c.recency <= HISTORY)
        return [*self._dispatches(select(dispatches).where(_NOT_ENDED)), *self._dispatches(newest)]

    def _dispatches(self, query: Select[tuple[object, ...]]) -> list[Dispatch]:
        return [
            Dispatch(
                **{
                    **row,
                    "state": DispatchState(row["state"]),
                    "outcome": DispatchOutcome(row["outcome"]) if row["outcome"] else None,
                }
            )
            for row in self._connection.execute(query).mappings()
        ]

    def _leaving(self) -> frozenset[str]:
        just_now = and_(
            scans.c.status == ScanStatus.COMPLETED.value,
            scans.c.finished_at > db_now(-WORKERS_LEAVE_SECONDS),
            exists().where(dispatches.c.scan_id == scans.c.id, _NOT_ENDED),
        )
        return frozenset(self._connection.execute(select(scans.c.id).where(just_now)).scalars())

    @override
    def reserve(self, scan_id: str, serial: int, token: str) -> Dispatch:
        """The primary key lets only one writer win."""
        values = {
            "scan_id": scan_id,
            "serial": serial,
            "token": token,
            "state": DispatchState.RESERVED.value,
            "created_at": db_now(),
        }
        returned = insert(dispatches).values(**values).returning(dispatches.c.created_at)
        created_at = self._connection.execute(returned).scalar_one()
        return Dispatch(scan_id, serial, token, DispatchState.RESERVED, created_at)

    @override
    def mark_sent(self, dispatch: Dispatch, nomad_job_id: str) -> None:
        sent_at = func.coalesce(dispatches.c.sent_at, db_now())
        self._update(dispatch, state=DispatchState.SENT.value, nomad_job_id=nomad_job_id, sent_at=sent_at)

    @override
    def end(self, dispatch: Dispatch, outcome: DispatchOutcome, detail: str | None = None) -> None:
        self._update(dispatch, state=DispatchState.ENDED.value, ended_at=db_now(), outcome=outcome.value, detail=detail)
        gone = ~exists().where(scans.c.id == dispatches.c.scan_id)
        self._connection.execute(delete(dispatches).where(_is(dispatch), gone))

    @override
    def has_run(self, scan_id: str, worker_id: str) -> bool:
        query = select(exists().where(attempts.c.scan_id == scan_id, attempts.c.worker_id == worker_id))
        return bool(self._connection.execute(query).scalar())

    @override
    def give_up_leases(self, scan_id: str, worker_id: str) -> None:
        held = and_(
            chunks.c.scan_id == scan_id, chunks.c.state == ChunkState.LEASED.value, chunks.c.worker_id == worker_id
        )
        self._connection.execute(update(chunks).where(held).values(lease_until=db_now(-1.0)))

    @override
    def notify(self) -> None:
        """By PostgreSQL's NOTIFY, which reaches every process; SQLite has no dispatched workers."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text(f"SELECT pg_notify('{CHANNEL}', {NOTICE_NUMBER}::text)"))

    @override
    def set_waiting_reason(self, scan_id: str, waiting_reason: str | None) -> None:
        self._connection.execute(update(scans).where(scans.c.id == scan_id).values(waiting_reason=waiting_reason))

    def _update(self, dispatch: Dispatch, **values: object) -> None:
        self._connection.execute(update(dispatches).where(_is(dispatch), _NOT_ENDED).values(**values))


def _is(dispatch: Dispatch) -> ColumnElement[bool]:
    return and_(dispatches.c.scan_id == dispatch.scan_id, dispatches.c.serial == dispatch.serial)
