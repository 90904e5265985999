"""The ledger in numbers, for operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.repositories.chunk_rows import LEASED, PENDING, may_run
from cloudx.adapters.database.repositories.scan_rows import OPEN, type_of
from cloudx.adapters.database.schema.tables import (
    attempts,
    chunks,
    dispatches,
    findings,
    node_grants,
    scan_nodes,
    scans,
)
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.dispatch.states import DispatchState
from cloudx.services.ledger.figures import (
    Figures,
    LeaseFigures,
    LedgerState,
    OpenScanFigures,
    Total,
    TotalKey,
    Totals,
)

_LEASE = timedelta(seconds=LEASE_SECONDS)


class SqlFigures(Figures):
    """Implements Figures."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def state(self) -> LedgerState:
        by_state = select(dispatches.c.state, func.count()).where(dispatches.c.state != DispatchState.ENDED.value)
        by_status = select(scans.c.status, func.count()).where(scans.c.follows.is_(None))
        return LedgerState(
            now=self._connection.execute(select(db_now())).scalar_one(),
            leases=self._leases(),
            scans=self._open_scans(),
            scans_by_status=self._pairs(by_status.group_by(scans.c.status)),
            granted_pps=self._pairs(select(node_grants).where(node_grants.c.granted_pps > 0)),
            dispatches=self._pairs(by_state.group_by(dispatches.c.state)),
        )

    @override
    def totals(self, ended_since: datetime) -> dict[str, Totals]:
        is_wanted = or_(scans.c.status.in_(OPEN), scans.c.finished_at > ended_since)
        by_scan: dict[str, Totals] = {}
        for scan_id, tool in self._connection.execute(select(scans.c.id, scans.c.tool).where(is_wanted)).all():
            by_scan[scan_id] = Counter()
            for total, outcome, many in self._totals_of(scan_id):
                by_scan[scan_id][TotalKey(total, tool, outcome)] += many
        return by_scan

    def _leases(self) -> LeaseFigures:
        until, now = chunks.c.lease_until, db_now()
        late = case((until < now, 1), else_=0)
        first_late = func.min(case((until < now, until)), type_=until.type)
        query = select(
            func.count(), func.coalesce(func.sum(late), 0), first_late, func.min(until), func.max(until)
        ).where(LEASED)
        held, overdue, ran_out_at, first, last = self._connection.execute(query).one()
        if not held:
            return LeaseFigures()
        return LeaseFigures(held, int(overdue), ran_out_at, first - _LEASE, last - _LEASE)

    def _open_scans(self) -> list[OpenScanFigures]:
        by_node = scan_nodes.c
        leased = func.coalesce(func.sum(by_node.chunks_leased), 0)
        settled = func.coalesce(func.sum(by_node.chunks_done + by_node.chunks_failed), 0)
        columns = ("id", "tool", "type_name", "udp_too", "created_at", "rate_pps", "waiting_reason", "follows")
        query = (
            select(
                *(scans.c[name] for name in columns),
                may_run().label("may_run"),
                leased.label("leased"),
                (scans.c.chunks_total - settled - leased).label("pending"),
                func.coalesce(func.sum(by_node.granted_pps), 0).label("granted"),
            )
            .outerjoin_from(scans, scan_nodes, by_node.scan_id == scans.c.id)
            .where(scans.c.status.in_(OPEN))
            .group_by(scans.c.id)
        )
        # A second stage that has been given nothing to do waits for nothing.
        rows = [row for row in self._connection.execute(query) if not row.follows or row.pending or row.leased]
        resting = self._backing_off([row.id for row in rows if row.pending > 0 and not row.leased])
        return [
            OpenScanFigures(
                scan_id=row.id,
                type=type_of(row),
                created_at=row.created_at,
                rate_pps=row.rate_pps,
                granted_pps=int(row.granted),
                chunks_pending=max(0, int(row.pending)),
                chunks_leased=int(row.leased),
                is_held=not row.may_run,
                is_held_by_nomad=row.waiting_reason is not None,
                is_backing_off=row.id in resting,
            )
            for row in rows
        ]

    def _backing_off(self, scan_ids: list[str]) -> set[str]:
        """Those of which no pending chunk may be claimed yet."""
        of_scan: ColumnElement[bool] = and_(chunks.c.scan_id == scans.c.id, PENDING)
        may_be_claimed = or_(chunks.c.available_at.is_(None), chunks.c.available_at <= db_now())
        query = select(scans.c.id).where(scans.c.id.in_(scan_ids), ~exists().where(of_scan, may_be_claimed))
        return set(self._connection.execute(query).scalars()) if scan_ids else set()

    def _totals_of(self, scan_id: str) -> Iterable[tuple[Total, str, int]]:
        by_node = scan_nodes.c
        names = ("chunks_done", "chunks_failed", "completed_units", "failed_units", "excluded_units")
        sums = [func.coalesce(func.sum(by_node[name]), 0) for name in names]
        done, failed, *units = self._connection.execute(select(*sums).where(by_node.scan_id == scan_id)).one()
        yield Total.CHUNKS, "done", int(done)
        yield Total.CHUNKS, "failed", int(failed)
        for outcome, many in zip(("completed", "failed", "excluded"), units, strict=True):
            yield Total.UNITS, outcome, int(many)
        of_findings = select(func.count()).select_from(findings).where(findings.c.scan_id == scan_id)
        yield Total.FINDINGS, "", self._connection.execute(of_findings).scalar_one()
        yield from self._attempts_of(scan_id)
        ended = (dispatches.c.scan_id == scan_id, dispatches.c.outcome.is_not(None))
        by_outcome = select(dispatches.c.outcome, func.count()).where(*ended).group_by(dispatches.c.outcome)
        for outcome, many in self._pairs(by_outcome).items():
            yield Total.DISPATCHES, outcome, many

    def _attempts_of(self, scan_id: str) -> Iterable[tuple[Total, str, int]]:
        tried_again = func.sum(case((attempts.c.attempt > 1, 1), else_=0))
        packets = func.coalesce(func.sum(attempts.c.packets_sent), 0)
        query = select(attempts.c.outcome, func.count(), tried_again, packets)
        by_outcome = query.where(attempts.c.scan_id == scan_id).group_by(attempts.c.outcome)
        for outcome, many, again, sent in self._connection.execute(by_outcome):
            yield Total.RETRIES, "", int(again)
            yield Total.PACKETS, "", int(sent)
            if outcome is not None:  # it has ended
                yield Total.ATTEMPTS, outcome, many

    def _pairs(self, query: Select[Any]) -> dict[str, int]:
        return {key: int(value) for key, value in self._connection.execute(query)}
