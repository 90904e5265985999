"""Scans, their counters and idempotency keys."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, insert, select, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import (
    attempts,
    chunks,
    dispatches,
    findings,
    hosts,
    idempotency_keys,
    inline_results,
    scan_nodes,
    scans,
)
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.dispatch.states import DispatchState
from cloudx.domain.planning.chunk_plan import claim_order
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.ledger.records import ScanRecord, Tally, WaitingScan
from cloudx.services.ledger.scans import Scans

from .chunk_rows import LEASED
from .insert_chunks import insert_chunks
from .scan_rows import COUNTERS, OPEN, UDP_TOO, AddressCache, scan_of, scan_values, tally_of, type_of

_ALL_BUT_ADDRESSES = [column for column in scans.c if column.name != "addresses"]
_SUMS = [func.sum(scan_nodes.c[name]).label(name) for name in (*COUNTERS, "chunks_leased", "chunks_sending")]
_addresses = AddressCache()  # one for the process: a scan's id is unique over all ledgers


class SqlScans(Scans):
    """Implements Scans."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def add(self, scan: Scan, spans: Iterable[ChunkSpan]) -> None:
        all_spans = list(spans)
        self._connection.execute(insert(scans).values(**scan_values(scan), chunks_total=len(all_spans)))
        claim_orders = claim_order([span.units for span in all_spans], seed=int(UUID(scan.id)))
        insert_chunks(self._connection, scan.id, all_spans, claim_orders)

    @override
    def get(self, scan_id: str) -> ScanRecord | None:
        records = self._records(scans.c.id == scan_id, limit=1)
        return records[0] if records else None

    @override
    def lock(self, scan_id: str) -> Scan | None:
        query = select(*_ALL_BUT_ADDRESSES).where(scans.c.id == scan_id).with_for_update()
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
    def page(
        self, *, limit: int, before_id: str | None = None, status: ScanStatus | None = None, tool: str | None = None
    ) -> list[ScanRecord]:
        conditions: list[ColumnElement[bool]] = []
        if before_id is not None:
            conditions.append(scans.c.id < before_id)
        if status is not None:
            conditions.append(scans.c.status == status.value)
        if tool is not None:
            conditions.append(scans.c.tool == tool)
        return self._records(*conditions, limit=limit)

    @override
    def waiting(self) -> list[WaitingScan]:
        by_node = scan_nodes.c
        settled = func.coalesce(func.sum(by_node.chunks_done + by_node.chunks_failed), 0)
        leased = func.coalesce(func.sum(by_node.chunks_leased), 0)
        sending = func.coalesce(func.sum(by_node.chunks_sending), 0)
        pending = scans.c.chunks_total - settled - leased
        query = (
            select(
                *(scans.c[name] for name in ("id", "tool", "type_name", "rate_pps", "priority")),
                (pending + sending).label("chunks"),
                UDP_TOO,
            )
            .outerjoin_from(scans, scan_nodes, by_node.scan_id == scans.c.id)
            .where(scans.c.status.in_(OPEN))
            .group_by(scans.c.id)
            .having(pending > 0)
            .order_by(scans.c.priority.desc(), scans.c.id)
        )
        return [
            WaitingScan(row.id, type_of(row), row.rate_pps, int(row.chunks), row.priority)
            for row in self._connection.execute(query)
        ]

    @override
    def delete(self, scan_id: str) -> bool:
        """Lock order: the chunks first, as a commit does."""
        for table in (chunks, scan_nodes, attempts, findings, hosts, inline_results, idempotency_keys):
            self._connection.execute(delete(table).where(table.c.scan_id == scan_id))
        # The others are deleted when their workers end (SqlDispatches.end).
        over = and_(dispatches.c.scan_id == scan_id, dispatches.c.state == DispatchState.ENDED.value)
        self._connection.execute(delete(dispatches).where(over))
        return bool(self._connection.execute(delete(scans).where(scans.c.id == scan_id)).rowcount)

    @override
    def finishable(self, scan_id: str | None = None) -> list[str]:
        by_node = scan_nodes.c
        counted = select(func.sum(by_node.chunks_done + by_node.chunks_failed)).where(by_node.scan_id == scans.c.id)
        query = select(scans.c.id).where(scans.c.status.in_(OPEN), scans.c.chunks_total == counted.scalar_subquery())
        if scan_id is not None:
            query = query.where(scans.c.id == scan_id)
        return list(self._connection.execute(query).scalars())

    @override
    def tally(self, scan_id: str) -> Tally:
        query = select(scans.c.id, scans.c.status, scans.c.chunks_total).where(scans.c.id == scan_id)
        row = self._connection.execute(query).mappings().one()
        return tally_of(row, self._counted([scan_id]).get(scan_id), 0.0)

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
        query = select(scans.c.id, scans.c.started_at, scans.c.budget_seconds).where(limited)
        return [
            scan_id
            for scan_id, started_at, seconds in self._connection.execute(query)
            if started_at + timedelta(seconds=seconds) <= now
        ]

    @override
    def excluded_names(self) -> set[str]:
        mine = scans.c.excluded_names
        query = select(mine).where(scans.c.status.in_(OPEN), mine != "[]")
        return set(chain.from_iterable(map(json.loads, self._connection.execute(query).scalars())))

    @override
    def count_by_status(self) -> dict[str, int]:
        query = select(scans.c.status, func.count()).group_by(scans.c.status)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    @override
    def cached_results(self, scan_id: str) -> bytes | None:
        query = select(inline_results.c.document).where(inline_results.c.scan_id == scan_id)
        return self._connection.execute(query).scalar()

    @override
    def cache_results(self, scan_id: str, document: bytes) -> None:
        self._connection.execute(delete(inline_results).where(inline_results.c.scan_id == scan_id))
        self._connection.execute(insert(inline_results).values(scan_id=scan_id, document=document))

    def _records(self, *conditions: ColumnElement[bool], limit: int) -> list[ScanRecord]:
        query = select(*_ALL_BUT_ADDRESSES).where(*conditions).order_by(scans.c.id.desc()).limit(limit)
        rows = self._connection.execute(query).mappings().all()
        counted = self._counted([row["id"] for row in rows])
        sent = self._in_flight([row["id"] for row in rows if row["status"] in OPEN])
        return [
            ScanRecord(self._scan(row), tally_of(row, counted.get(row["id"]), sent.get(row["id"], 0.0))) for row in rows
        ]

    def _scan(self, row: RowMapping) -> Scan:
        def load() -> str:
            query = select(scans.c.addresses).where(scans.c.id == row["id"])
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
