"""Scans, their counters and idempotency keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, select, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schedules.holds import open_holds
from cloudx.adapters.database.schema.tables import (
    attempts,
    chunks,
    dispatches,
    findings,
    follow_ups,
    hosts,
    idempotency_keys,
    inline_results,
    scan_nodes,
    scan_targets,
    scans,
)
from cloudx.adapters.database.search.forgetting import forget_sightings
from cloudx.adapters.database.stages.over import finishable_scans, lacks_results, stage_ids
from cloudx.domain.chunks import ChunkSpan, ChunkState, Lease
from cloudx.domain.dispatch.states import DispatchState
from cloudx.domain.planning.chunk_plan import claim_order
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.ledger.records import (
    Holder,
    KeptResults,
    OpenHold,
    ScanRecord,
    ScanSummary,
    SummaryRecord,
    Tally,
)
from cloudx.services.ledger.scans import Scans

from .chunk_rows import LEASED, PENDING, held
from .insert_chunks import insert_chunks
from .scan_rows import (
    BULK,
    COUNTERS,
    OPEN,
    AddressCache,
    bulk_values,
    hold_of,
    hold_values,
    scan_of,
    scan_values,
    summary_of,
    tally_of,
)
from .waiting_scans import holders

_BULK = [scan_targets.c[name] for name in BULK if name != "addresses"]
_ALL_BUT_ADDRESSES = select(*scans.c, *_BULK).join(scan_targets, scan_targets.c.scan_id == scans.c.id)
_SUMS = [func.sum(scan_nodes.c[name]).label(name) for name in (*COUNTERS, "chunks_leased", "chunks_sending")]
_OF_A_SCAN = (
    chunks, scan_nodes, attempts, findings, hosts, inline_results, idempotency_keys, scan_targets, follow_ups,
)  # fmt: skip
_addresses = AddressCache()  # one for the process: a scan's id is unique over all ledgers


class SqlScans(Scans):
    """Implements Scans."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def add(self, scan: Scan, spans: Iterable[ChunkSpan]) -> None:
        all_spans = list(spans)
        widest = max((span.address_count for span in all_spans), default=0)
        planned = {"chunks_total": len(all_spans), "widest_chunk": widest}
        self._connection.execute(insert(scans).values(**scan_values(scan), **planned))
        self._connection.execute(insert(scan_targets).values(**bulk_values(scan)))
        claim_orders = claim_order([span.units for span in all_spans], seed=int(UUID(scan.id)))
        insert_chunks(self._connection, scan.id, all_spans, claim_orders)

    @override
    def get(self, scan_id: str) -> ScanRecord | None:
        row = self._connection.execute(_ALL_BUT_ADDRESSES.where(scans.c.id == scan_id)).mappings().first()
        return ScanRecord(self._scan(row), self._tallies([row])[0]) if row else None

    @override
    def lock(self, scan_id: str) -> Scan | None:
        locked = [self._lock(stage) for stage in stage_ids(self._connection, scan_id)]
        return locked[-1]

    def _lock(self, scan_id: str) -> Scan | None:
        query = _ALL_BUT_ADDRESSES.where(scans.c.id == scan_id).with_for_update(of=scans)
        row = self._connection.execute(query).mappings().first()
        return self._scan(row) if row else None

    @override
    def save_state(self, scan: Scan) -> None:
        self._connection.execute(
            update(scans)
            .where(scans.c.id == scan.id)
            .values(
                status=scan.status.value, started_at=scan.started_at, finished_at=scan.finished_at, error=scan.error
            )
        )

    @override
    def save_hold(self, scan: Scan) -> None:
        stages = [scan.id, scan.followed_by] if scan.followed_by else [scan.id]
        self._connection.execute(update(scans).where(scans.c.id.in_(stages)).values(**hold_values(scan.hold)))

    @override
    def open_holds(self, *, only_with_hours: bool) -> list[OpenHold]:
        return open_holds(self._connection, only_with_hours)

    @override
    def page(
        self, *, limit: int, before_id: str | None = None, status: ScanStatus | None = None, tool: str | None = None
    ) -> list[SummaryRecord]:
        conditions = _conditions(status, tool)
        if before_id is not None:
            conditions.append(scans.c.id < before_id)
        query = select(scans).where(*conditions).order_by(scans.c.id.desc()).limit(limit)
        rows = self._connection.execute(query).mappings().all()
        return self._records(rows)

    def records_of(self, scan_ids: Sequence[str]) -> list[SummaryRecord]:
        """These, in any order; second stages too."""
        query = select(scans).where(scans.c.id.in_(scan_ids))
        return self._records(self._connection.execute(query).mappings().all()) if scan_ids else []

    def _records(self, rows: Sequence[RowMapping]) -> list[SummaryRecord]:
        return [SummaryRecord(summary_of(row), tally) for row, tally in zip(rows, self._tallies(rows), strict=True)]

    @override
    def summary(self, scan_id: str) -> ScanSummary | None:
        row = self._connection.execute(select(scans).where(scans.c.id == scan_id)).mappings().first()
        return summary_of(row) if row else None

    @override
    def count(self, *, status: ScanStatus | None = None, tool: str | None = None) -> int:
        query = select(func.count()).select_from(scans).where(*_conditions(status, tool))
        return int(self._connection.execute(query).scalar_one())

    @override
    def holders(self, limit: int) -> list[Holder]:
        return holders(self._connection, limit)

    @override
    def delete(self, scan_id: str) -> bool:
        """Lock order: the search's, then the chunks, as a commit does."""
        forget_sightings(self._connection, scan_id)
        stages = stage_ids(self._connection, scan_id)
        for table in _OF_A_SCAN:
            self._connection.execute(delete(table).where(table.c.scan_id.in_(stages)))
        # The others are deleted when their workers end (SqlDispatches.end).
        over = and_(dispatches.c.scan_id.in_(stages), dispatches.c.state == DispatchState.ENDED.value)
        self._connection.execute(delete(dispatches).where(over))
        return bool(self._connection.execute(delete(scans).where(scans.c.id.in_(stages))).rowcount)

    @override
    def finishable(self, scan_id: str | None = None) -> list[str]:
        return finishable_scans(self._connection, scan_id)

    @override
    def tally(self, scan_id: str) -> Tally:
        query = select(scans.c.id, scans.c.status, scans.c.chunks_total).where(scans.c.id == scan_id)
        row = self._connection.execute(query).mappings().first()
        return tally_of(row, self._counted([scan_id]).get(scan_id), 0.0) if row else Tally()

    @override
    def remember_key(self, principal: str, key: str, body_sha256: str, scan_id: str) -> None:
        """The primary key lets only one request win."""
        self._connection.execute(
            insert(idempotency_keys).values(
                principal=principal, key=key, body_sha256=body_sha256, scan_id=scan_id, created_at=db_now()
            )
        )

    @override
    def recall_key(self, principal: str, key: str) -> tuple[str, str] | None:
        keys = idempotency_keys.c
        query = select(keys.body_sha256, keys.scan_id).where(keys.principal == principal, keys.key == key)
        row = self._connection.execute(query).first()
        return (row.body_sha256, row.scan_id) if row else None

    @override
    def over_budget(self, now: datetime) -> list[str]:
        limited = and_(scans.c.status == ScanStatus.RUNNING.value, scans.c.budget_seconds.is_not(None))
        rows = self._connection.execute(select(scans).where(limited)).mappings()
        return [
            row["id"] for row in rows if hold_of(row).running_seconds(row["started_at"], now) >= row["budget_seconds"]
        ]

    @override
    def excluded_names(self) -> set[str]:
        mine = scans.c.excluded_names
        query = select(mine).where(scans.c.status.in_(OPEN), mine != "[]")
        return set(chain.from_iterable(map(json.loads, self._connection.execute(query).scalars())))

    @override
    def results_sizes(self, scan_ids: Sequence[str]) -> dict[str, int]:
        kept = inline_results.c
        query = select(kept.scan_id, kept.size).where(kept.scan_id.in_(scan_ids))
        return {row[0]: row[1] for row in self._connection.execute(query)}

    @override
    def kept_results(self, scan_ids: Sequence[str]) -> dict[str, KeptResults]:
        kept = inline_results.c
        query = select(kept.scan_id, kept.packed, kept.size, kept.truncated).where(kept.scan_id.in_(scan_ids))
        return {row[0]: KeptResults(*row[1:]) for row in self._connection.execute(query)}

    @override
    def finish(
        self, scan_id: str, status: ScanStatus, error: str | None, results: KeptResults, lease: Lease | None = None
    ) -> bool:
        stages = [self._lock(one) for one in stage_ids(self._connection, scan_id)]
        if not all(stages) or not self.finishable(scan_id):
            return False
        self._move(stages, status, error)
        self._keep(scan_id, results)
        return True

    def _move(self, stages: Sequence[Scan | None], status: ScanStatus, error: str | None) -> None:
        for scan in stages:
            if scan is not None and not scan.status.is_final:
                self.save_state(scan.moved_to(status, self._now(), error))

    @override
    def fail(self, lease: Lease, error: str) -> bool:
        scan = self.lock(lease.scan_id)
        is_held = self._connection.execute(select(chunks.c.number).where(held(lease))).first() is not None
        if scan is None or scan.status.is_final or not is_held:
            return False
        stages = stage_ids(self._connection, scan.public_id)
        self._move([self._lock(one) for one in stages], ScanStatus.FAILED, error)
        cancelled = {"state": ChunkState.CANCELLED.value}
        self._connection.execute(update(chunks).where(chunks.c.scan_id.in_(stages), PENDING).values(**cancelled))
        return True

    @override
    def keep_results(self, scan_id: str, results: KeptResults, lease: Lease | None = None) -> bool:
        if self.lock(scan_id) is None or not self.lacks_results(scan_id):
            return False
        self._keep(scan_id, results)
        return True

    def _keep(self, scan_id: str, results: KeptResults) -> None:
        self._connection.execute(delete(inline_results).where(inline_results.c.scan_id == scan_id))
        self._connection.execute(insert(inline_results).values(scan_id=scan_id, **vars(results)))

    def _now(self) -> datetime:
        return self._connection.execute(select(db_now())).scalar_one()

    @override
    def lacks_results(self, scan_id: str) -> bool:
        return lacks_results(self._connection, scan_id)

    def _tallies(self, rows: Sequence[RowMapping]) -> list[Tally]:
        counted = self._counted([row["id"] for row in rows])
        sent = self._in_flight([row["id"] for row in rows if row["status"] in OPEN])
        return [tally_of(row, counted.get(row["id"]), sent.get(row["id"], 0.0)) for row in rows]

    def _scan(self, row: RowMapping) -> Scan:
        def load() -> str:
            query = select(scan_targets.c.addresses).where(scan_targets.c.scan_id == row["id"])
            return str(self._connection.execute(query).scalar_one())

        return scan_of(row, _addresses.get(row["id"], load))

    def _counted(self, scan_ids: list[str]) -> dict[str, RowMapping]:
        """The sums over the nodes, by scan; a scan without a claim has none."""
        by_node = scan_nodes.c
        query = select(by_node.scan_id, *_SUMS).where(by_node.scan_id.in_(scan_ids)).group_by(by_node.scan_id)
        return {row["scan_id"]: row for row in self._connection.execute(query).mappings()} if scan_ids else {}

    def _in_flight(self, scan_ids: list[str]) -> dict[str, float]:
        """About how many units of the leased chunks were sent, by scan."""
        if not scan_ids:
            return {}
        units = chunks.c.address_count * chunks.c.port_count
        query = (
            select(chunks.c.scan_id, func.sum(units * chunks.c.sent_share))
            .where(LEASED, chunks.c.scan_id.in_(scan_ids))
            .group_by(chunks.c.scan_id)
        )
        return {scan_id: float(sent) for scan_id, sent in self._connection.execute(query)}


def _conditions(status: ScanStatus | None, tool: str | None) -> list[ColumnElement[bool]]:
    of_status: list[ColumnElement[bool]] = [scans.c.follows.is_(None)]
    if status is not None:
        of_status.append(scans.c.status == status.value)
    return of_status if tool is None else [*of_status, scans.c.tool == tool]
