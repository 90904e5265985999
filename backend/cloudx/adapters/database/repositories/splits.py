"""Chunks that become several. Lock order: as in chunks.py."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, exists, func, insert, not_, select, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import attempts, chunks, scans
from cloudx.domain.chunks import LEASE_SECONDS, ChunkSpan, ChunkState, Lease
from cloudx.domain.planning.stragglers import Running, Split
from cloudx.services.ledger.splits import ExhaustedScan, Splits

from .chunk_rows import held, span_values
from .scan_rows import OPEN, type_of
from .server_functions import call, fence_of

_PENDING = chunks.c.state == ChunkState.PENDING.value
_SENDING = and_(chunks.c.state == ChunkState.LEASED.value, chunks.c.sending)
_SPAN = (chunks.c.number, chunks.c.address_start, chunks.c.address_count, chunks.c.port_start, chunks.c.port_count)
_INHERITED = ("recuts", "failures", "failed_nodes", "cut_from", "available_at", "zone")


class SqlSplits(Splits):
    """Implements Splits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def exhausted(self) -> list[ExhaustedScan]:
        of_scan = chunks.c.scan_id == scans.c.id
        query = (
            select(scans.c.id, scans.c.tool, scans.c.type_name, scans.c.rate_pps, scans.c.max_workers, scans.c.udp_too)
            .where(
                scans.c.status.in_(OPEN),
                scans.c.rate_per_prefix.is_(None),  # its parts would only wait for each other's zone
                not_(exists().where(of_scan, _PENDING)),
                exists().where(of_scan, _SENDING),
            )
            .order_by(scans.c.priority.desc(), scans.c.id)
        )
        return [
            ExhaustedScan(row.id, type_of(row), row.rate_pps, row.max_workers)
            for row in self._connection.execute(query)
        ]

    @override
    def running(self, scan_id: str) -> list[Running]:
        of_attempt = and_(
            attempts.c.scan_id == chunks.c.scan_id,
            attempts.c.number == chunks.c.number,
            attempts.c.attempt == chunks.c.attempt,
        )
        query = (
            select(chunks, attempts.c.started_at, db_now().label("now"))
            .join(attempts, of_attempt)
            .where(chunks.c.scan_id == scan_id, _SENDING)
        )
        return [
            Running(
                span=ChunkSpan(*(row[column.name] for column in _SPAN)),
                attempt=row["attempt"],
                worker_id=row["worker_id"],
                node_id=row["node_id"],
                rate_pps=row["rate_pps"],
                sent_share=row["sent_share"],
                held_seconds=(row["now"] - row["started_at"]).total_seconds(),
                silent_seconds=LEASE_SECONDS - (row["lease_until"] - row["now"]).total_seconds(),
                splits=row["recuts"],
            )
            for row in self._connection.execute(query).mappings()
        ]

    @override
    def working_nodes(self) -> set[str]:
        return set(self._connection.execute(select(chunks.c.node_id).where(_SENDING).distinct()).scalars())

    @override
    def revoke_and_split(self, scan_id: str, split: Split) -> bool:
        """Several processes that do so at once split one chunk of the scan."""
        straggler = split.straggler
        still_held = and_(
            chunks.c.scan_id == scan_id,
            chunks.c.number == straggler.span.number,
            chunks.c.attempt == straggler.attempt,
            chunks.c.worker_id == straggler.worker_id,
            _SENDING,
        )
        lock = select(chunks.c.number).where(still_held).with_for_update(skip_locked=True)
        if self._connection.execute(lock).first() is None or not self._grow(scan_id, split.parts):
            return False
        # With the scan's row locked, what another process split before is seen here.
        if self._connection.execute(select(exists().where(chunks.c.scan_id == scan_id, _PENDING))).scalar():
            return False
        self._end_attempt(scan_id, straggler.span.number, straggler.attempt)
        self._replace(scan_id, split.parts, split.wait_seconds)
        return True

    @override
    def cut_held(self, lease: Lease, parts: Sequence[ChunkSpan]) -> bool:
        lock = select(chunks.c.number).where(held(lease)).with_for_update()
        if self._connection.execute(lock).first() is None or not self._grow(lease.scan_id, parts):
            return False
        self._end_attempt(lease.scan_id, lease.span.number, lease.attempt)
        self._replace(lease.scan_id, parts)
        return True

    @override
    def returned(self, scan_id: str) -> list[tuple[ChunkSpan, int]]:
        has_caps = exists().where(scans.c.id == scan_id, scans.c.rate_per_prefix.is_not(None))
        pending = and_(chunks.c.scan_id == scan_id, _PENDING, ~has_caps)
        lock = select(*_SPAN, chunks.c.recuts).where(pending).with_for_update(skip_locked=True)
        rows = self._connection.execute(lock).all()
        count = self._connection.execute(select(func.count()).where(pending)).scalar_one()
        return [(ChunkSpan(*row[:-1]), row[-1]) for row in rows] if len(rows) == count else []

    @override
    def cut_pending(self, scan_id: str, parts: Sequence[ChunkSpan]) -> None:
        if self._grow(scan_id, parts):
            self._replace(scan_id, parts)

    def _end_attempt(self, scan_id: str, number: int, attempt: int) -> None:
        of_attempt = (attempts.c.scan_id == scan_id, attempts.c.number == number, attempts.c.attempt == attempt)
        self._connection.execute(update(attempts).where(*of_attempt).values(ended_at=db_now(), outcome="recut"))

    def _grow(self, scan_id: str, parts: Sequence[ChunkSpan]) -> bool:
        """Count the new chunks; False when the scan is over. The lock on its row reserves the next numbers."""
        grown = (
            update(scans)
            .where(scans.c.id == scan_id, scans.c.status.in_(OPEN))
            .values(chunks_total=scans.c.chunks_total + len(parts) - 1)
        )
        return bool(self._connection.execute(grown).rowcount)

    def _replace(self, scan_id: str, parts: Sequence[ChunkSpan], wait_seconds: float = 0.0) -> None:
        """The chunk keeps the first part; the other parts become new chunks, numbered from the old total on."""
        total = self._connection.execute(select(scans.c.chunks_total).where(scans.c.id == scan_id)).scalar_one()
        first, *others = parts
        before = select(chunks.c.zone_limit_pps, chunks.c.address_count, chunks.c.port_count)
        of_chunk = (chunks.c.scan_id == scan_id, chunks.c.number == first.number)
        limit_pps, *sides = self._connection.execute(before.where(*of_chunk)).one()
        limits = [_limit_of_part(limit_pps, part, *sides) for part in parts]
        kept = (
            self._connection.execute(
                update(chunks)
                .where(chunks.c.scan_id == scan_id, chunks.c.number == first.number)
                .values(
                    state=ChunkState.PENDING.value, sending=False, sent_share=0.0, lease_until=None,
                    recuts=chunks.c.recuts + 1, available_at=db_now(wait_seconds), zone_limit_pps=limits[0],
                    **span_values(first),
                )
                .returning(*(chunks.c[name] for name in _INHERITED))
            )
            .mappings()
            .one()
        )  # fmt: skip
        inherited = {**kept, "scan_id": scan_id}
        if kept["cut_from"] is None:
            inherited["cut_from"] = first.number
        new_chunks = [
            {**inherited, **span_values(part), "number": number, "claim_order": number, "zone_limit_pps": limit}
            for number, (part, limit) in enumerate(zip(others, limits[1:], strict=True), total - len(others))
        ]
        if new_chunks:
            self._connection.execute(insert(chunks), new_chunks)


def _limit_of_part(limit_pps: int | None, part: ChunkSpan, addresses: int, ports: int) -> int | None:
    """At least this: a part's share of a prefix grows by no more than it has fewer addresses."""
    return None if limit_pps is None else max(1, limit_pps * part.units // (addresses * ports))


class PostgresSplits(SqlSplits):
    """Cuts what is held by a function of the server, which a worker's login needs (docs/adr/0026)."""

    @override
    def cut_held(self, lease: Lease, parts: Sequence[ChunkSpan]) -> bool:
        edges = ",".join(str(part.address_start) for part in parts[1:])
        return bool(call(self._connection, "cut_chunk", *fence_of(lease), f"{{{edges}}}")[0][0])


def splits_on(connection: Connection) -> SqlSplits:
    """Splits for the database of a connection."""
    return PostgresSplits(connection) if connection.dialect.name == "postgresql" else SqlSplits(connection)
