"""Takes in what chunks found, window by window, and keeps which finding is the latest of its port."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, false, func, select, update
from sqlalchemy import text as sql_text
from typing_extensions import override

from cloudx.adapters.database.repositories.chunk_rows import span_of
from cloudx.adapters.database.repositories.scan_rows import OPEN
from cloudx.adapters.database.schema.search_tables import NOT_TAKEN_IN, finding_kinds, judge_again, sightings
from cloudx.adapters.database.schema.tables import attempts, chunks, findings, hosts, scans
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkState
from cloudx.services.ledger.records import FindingKey
from cloudx.services.ledger.sightings import (
    FoundPage,
    FreshChunk,
    Place,
    ProvenSpan,
    Query,
    Sighting,
    Sightings,
    Stretch,
)

from .finding import SqlSearch
from .forgetting import LOCK
from .keys import along_the_key, beyond, has_row, key_of, same_key, up_to, within
from .statements import add_hostnames, add_kinds, add_sightings, demote

_SHUT = ("closed", "filtered")
_AFTER_A_SCAN = timedelta(seconds=60)  # its last chunks may be committed after it was stopped
_TAKE_LOCK = sql_text("SELECT pg_try_advisory_xact_lock(:key)")


class SqlSightings(Sightings):
    """Implements Sightings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_postgresql = connection.dialect.name == "postgresql"

    @override
    def begin(self) -> bool:
        """By an advisory lock that ends with the transaction; SQLite has one writer at a time."""
        if not self._is_postgresql:
            return True
        return bool(self._connection.execute(_TAKE_LOCK, {"key": LOCK}).scalar_one())

    @override
    def is_behind(self) -> bool:
        over = select(chunks.c.number).join(scans, scans.c.id == chunks.c.scan_id)
        fresh = over.where(NOT_TAKEN_IN, scans.c.status.not_in(OPEN)).limit(1)
        if self._connection.execute(fresh).first() is not None:
            return True
        return self._connection.execute(select(judge_again.c.scan_id).limit(1)).first() is not None

    @override
    def fresh(self, limit: int) -> list[FreshChunk]:
        """By the index of those not taken in alone, so a few thousand at the most are sorted."""
        columns = ("scan_id", "number", "address_start", "address_count", "port_start", "port_count")
        some = select(*chunks.c[columns], chunks.c.attempt, _is_proven().label("is_proven")).where(NOT_TAKEN_IN)
        some_chunks = some.order_by(chunks.c.scan_id, chunks.c.number).limit(limit).subquery()
        of_attempt = and_(
            attempts.c.scan_id == some_chunks.c.scan_id,
            attempts.c.number == some_chunks.c.number,
            attempts.c.attempt == some_chunks.c.attempt,
        )
        query = select(some_chunks, attempts.c.started_at, attempts.c.ended_at).join(attempts, of_attempt)
        rows = self._connection.execute(query.order_by(attempts.c.started_at)).mappings()
        return [
            FreshChunk(
                row["scan_id"], span_of(row), row["is_proven"], row["started_at"], row["ended_at"] or row["started_at"]
            )
            for row in rows
        ]

    @override
    def window(self, scan_id: str, stretch: Stretch, after: FindingKey | None, rows: int) -> FindingKey | None:
        self._go_along_the_key()
        mine = (
            select(*key_of(findings))
            .where(findings.c.scan_id == scan_id, within(findings, stretch), beyond(findings, after))
            .order_by(*key_of(findings))
            .limit(rows)
            .subquery()
        )
        last = select(mine).order_by(*(column.desc() for column in key_of(mine))).limit(1)
        row = self._connection.execute(last).first()
        return None if row is None else (row.ip, row.protocol, row.port)

    @override
    def add(self, chunk: FreshChunk, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        """Texts first. The older latest step back before the newer come: a port has one at every moment."""
        self._go_along_the_key()
        is_mine = and_(
            findings.c.scan_id == chunk.scan_id, within(findings, stretch), beyond(findings, after), up_to(findings, to)
        )
        around = and_(within(sightings, stretch), beyond(sightings, after), up_to(sightings, to))
        for statement in (
            add_kinds(self._connection, is_mine),
            add_hostnames(self._connection, is_mine),
            demote(self._connection, chunk, is_mine, around),
            add_sightings(self._connection, chunk, is_mine),
        ):
            self._connection.execute(statement)

    @override
    def forget_replaced(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        self._go_along_the_key()
        is_stale = has_row(
            findings,
            findings.c.scan_id == scan_id,
            same_key(findings, sightings),
            findings.c.observed_at != sightings.c.observed_at,
        )
        self._connection.execute(delete(sightings).where(_taken(scan_id, stretch, after, to), is_stale))

    @override
    def shut_found_closed(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        self._go_along_the_key()
        shut = select(finding_kinds.c.id).where(finding_kinds.c.state.in_(_SHUT))
        found = and_(_taken(scan_id, stretch, after, to), sightings.c.is_latest, sightings.c.kind_id.in_(shut))
        self._connection.execute(update(sightings).where(found).values(is_latest=False))

    @override
    def standing(
        self, scan_id: str, stretch: Stretch, before: datetime, after: FindingKey | None, limit: int
    ) -> list[Sighting]:
        self._go_along_the_key()
        query = self._latest(scan_id).where(
            within(sightings, stretch), beyond(sightings, after), sightings.c.seen_at < before
        )
        return self._sightings(query.order_by(*key_of(sightings)).limit(limit))

    @override
    def standing_of(self, ids: Collection[int], scan_id: str) -> list[Sighting]:
        return self._sightings(self._not_found_by(scan_id).where(sightings.c.id.in_(list(ids))))

    def _latest(self, scan_id: str) -> Select[Any]:
        return self._not_found_by(scan_id).where(sightings.c.is_latest)

    def _not_found_by(self, scan_id: str) -> Select[Any]:
        host = has_row(hosts, hosts.c.scan_id == scan_id, hosts.c.ip == sightings.c.ip)
        is_found = has_row(findings, findings.c.scan_id == scan_id, same_key(findings, sightings))
        return _sighting(host).where(sightings.c.scan_id != scan_id, ~is_found)

    @override
    def latest_of(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> list[Sighting]:
        self._go_along_the_key()
        query = _sighting(false()).where(
            sightings.c.is_latest, _is_of(scan_id),
            within(sightings, stretch), beyond(sightings, after), up_to(sightings, to),
        )  # fmt: skip
        return self._sightings(query)

    @override
    def shut(self, ids: Collection[int]) -> None:
        self._connection.execute(update(sightings).where(sightings.c.id.in_(list(ids))).values(is_latest=False))

    @override
    def mark(self, chunks_taken: Sequence[FreshChunk]) -> None:
        by_scan: dict[str, list[int]] = {}
        for chunk in chunks_taken:
            by_scan.setdefault(chunk.scan_id, []).append(chunk.span.number)
        for scan_id, numbers in sorted(by_scan.items()):
            these = and_(chunks.c.scan_id == scan_id, chunks.c.number.in_(numbers))
            self._connection.execute(update(chunks).where(these).values(is_taken_in=True))

    @override
    def scans_since(self, moment: datetime) -> list[str]:
        since = moment - _AFTER_A_SCAN
        is_over = select(scans.c.id).where(scans.c.finished_at >= since)
        goes_on = select(scans.c.id).where(scans.c.status.in_(OPEN), scans.c.started_at.is_not(None))
        return [*self._connection.execute(is_over).scalars(), *self._connection.execute(goes_on).scalars()]

    @override
    def proven(self, scan_id: str, first: int, last: int, since: datetime) -> list[ProvenSpan]:
        widest = select(scans.c.widest_chunk).where(scans.c.id == scan_id).scalar_subquery()
        lowest = self._connection.execute(select(widest)).scalar() or last + 1
        is_it = and_(
            chunks.c.scan_id == attempts.c.scan_id,
            chunks.c.number == attempts.c.number,
            chunks.c.attempt == attempts.c.attempt,
        )
        columns = chunks.c["number", "address_start", "address_count", "port_start", "port_count"]
        query = (
            select(*columns, attempts.c.started_at)
            .join(attempts, is_it)
            .where(
                attempts.c.scan_id == scan_id,
                attempts.c.address_start.between(first - lowest + 1, last),
                attempts.c.address_start + attempts.c.address_count > first,
                attempts.c.started_at > since,
                _is_proven(),
            )
            .order_by(chunks.c.address_start, chunks.c.port_start)
        )
        return [ProvenSpan(span_of(row), row["started_at"]) for row in self._connection.execute(query).mappings()]

    @override
    def deleted(self) -> tuple[str, AddressSet] | None:
        query = select(judge_again.c.scan_id, judge_again.c.addresses).order_by(judge_again.c.deleted_at).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else (row.scan_id, AddressSet.of_texts(row.addresses.splitlines()))

    @override
    def undecided(self, first_ip: str, last_ip: str, after: FindingKey | None, limit: int) -> list[Sighting]:
        self._go_along_the_key()
        one, other = sightings, sightings.alias("other")
        is_newer = (other.c.seen_at > one.c.seen_at) | (
            (other.c.seen_at == one.c.seen_at) & (other.c.scan_id > one.c.scan_id)
        )
        better = has_row(other, same_key(other, one), other.c.is_latest | is_newer)
        query = _sighting(false()).where(one.c.ip.between(first_ip, last_ip), beyond(one, after), ~better)
        return self._sightings(query.where(~one.c.is_latest).order_by(*key_of(one)).limit(limit))

    @override
    def promote(self, ids: Collection[int]) -> None:
        other = sightings.alias("other")
        has_one = has_row(other, same_key(other, sightings), other.c.is_latest)
        these = update(sightings).where(sightings.c.id.in_(list(ids)), ~has_one)
        self._connection.execute(these.values(is_latest=True))

    @override
    def judged(self, scan_id: str) -> None:
        self._connection.execute(delete(judge_again).where(judge_again.c.scan_id == scan_id))

    @override
    def page(self, query: Query, after: Place | None, limit: int) -> FoundPage:
        return SqlSearch(self._connection).page(query, after, limit)

    def _sightings(self, query: Select[Any]) -> list[Sighting]:
        return [Sighting(*row) for row in self._connection.execute(query)]

    def _go_along_the_key(self) -> None:
        if self._is_postgresql:
            along_the_key(self._connection)


def _taken(scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> ColumnElement[bool]:
    in_window = and_(within(sightings, stretch), beyond(sightings, after), up_to(sightings, to))
    return and_(_is_of(scan_id), in_window)


def _is_of(scan_id: str) -> ColumnElement[bool]:
    """Written so that no index leads by it: of a new scan PostgreSQL expects one row, and would read all it has."""
    return func.coalesce(sightings.c.scan_id, sightings.c.scan_id) == scan_id


def _is_proven() -> ColumnElement[bool]:
    return and_(chunks.c.state == ChunkState.DONE.value, chunks.c.excluded_units == 0, chunks.c.failed_units == 0)


def _sighting(host_seen: ColumnElement[bool]) -> Select[Any]:
    columns: Iterable[ColumnElement[Any]] = (
        *sightings.c["id", "ip", "protocol", "port"], finding_kinds.c.state, *sightings.c["scan_id", "seen_at"],
    )  # fmt: skip
    return select(*columns, host_seen).join(finding_kinds, finding_kinds.c.id == sightings.c.kind_id)
