"""Second stages. Lock order: as in repositories/chunks.py, with a second stage's row before all else."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, exists, func, insert, select, update
from typing_extensions import override

from cloudx.adapters.database.repositories.findings import findings_on
from cloudx.adapters.database.repositories.insert_chunks import insert_chunks
from cloudx.adapters.database.repositories.scan_rows import OPEN
from cloudx.adapters.database.repositories.scans import SqlScans
from cloudx.adapters.database.repositories.server_functions import call
from cloudx.adapters.database.schema.tables import follow_ups, scan_nodes, scans
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan, Lease
from cloudx.domain.findings import Found
from cloudx.domain.port_set import PortSet
from cloudx.domain.stages.follow_ups import FollowUp
from cloudx.domain.stages.progress import Followed
from cloudx.services.ledger.records import SummaryRecord
from cloudx.services.ledger.stages import SecondStage, Stages

MAX_WARNINGS = 10


class SqlStages(Stages):
    """Implements Stages."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def lock(self, second_id: str) -> None:
        """Nothing to do on SQLite, which has one writer at a time."""

    @override
    def add(self, lease: Lease, second_id: str, parts: Sequence[FollowUp], warning: str | None) -> bool:
        query = select(scans).where(scans.c.id == second_id, scans.c.status.in_(OPEN))
        before = self._connection.execute(query).mappings().first()
        if before is None:
            return False
        rows = list(self._rows(lease, parts))
        hosts, units, spans = before["target_count"], before["followed_units"], []
        for number, row in enumerate(rows, before["chunks_total"]):
            spans.append(ChunkSpan(number, hosts, row["address_count"], 0, row.pop("port_count")))
            row |= {"scan_id": second_id, "address_start": hosts, "units_before": units, "units": spans[-1].units}
            hosts, units = hosts + row["address_count"], units + row["units"]
        if rows:
            self._connection.execute(insert(follow_ups), rows)
            insert_chunks(self._connection, second_id, spans, [span.number for span in spans])
        widest = max([before["widest_chunk"], *(span.address_count for span in spans)])
        grown = {"chunks_total": before["chunks_total"] + len(rows), "target_count": hosts, "followed_units": units}
        warned = {"warnings": _with_warning(before["warnings"], warning)}
        changed = update(scans).where(scans.c.id == second_id)
        self._connection.execute(changed.values(**grown, **warned, widest_chunk=widest))
        return True

    def _rows(self, lease: Lease, parts: Sequence[FollowUp]) -> Iterator[dict[str, Any]]:
        """With the share of what the chunk settled of the first stage that each part stands for."""
        by_node = scan_nodes.c
        settled = func.sum(by_node.completed_units + by_node.failed_units + by_node.excluded_units)
        of_scan = select(settled).where(by_node.scan_id == lease.scan_id)
        whole = int(self._connection.execute(of_scan).scalar_one())
        units, passed = sum(part.units for part in parts), 0
        for part in parts:
            before, after = (whole - lease.span.units * (units - at) / units for at in (passed, passed + part.units))
            passed += part.units
            yield {
                "address_count": part.addresses.size,
                "port_count": part.ports.size,
                "addresses": "\n".join(part.addresses.texts()),
                "ports": str(part.ports),
                "settled_before": float(before),
                "settled_after": float(after),
            }

    @override
    def part_of(self, second_id: str, span: ChunkSpan) -> FollowUp:
        (part,) = self.parts_of(second_id, [span])
        return part

    @override
    def parts_of(self, second_id: str, spans: Sequence[ChunkSpan]) -> list[FollowUp]:
        starts, rows = [span.address_start for span in spans], follow_ups.c
        is_theirs = and_(
            rows.scan_id == second_id,
            rows.address_start <= max(starts),
            rows.address_start + rows.address_count > min(starts),
        )
        query = select(follow_ups).where(is_theirs).order_by(rows.address_start)
        found = self._connection.execute(query).mappings().all()
        known = [row["address_start"] for row in found]
        places = [bisect_right(known, start) - 1 for start in starts]
        if min(places) < 0:
            raise LookupError(f"Nothing follows at {min(starts)} in {second_id}.")
        return [_cut(found[place], span) for place, span in zip(places, spans, strict=True)]

    @override
    def replace_findings(self, lease: Lease, public_id: str, findings: Iterable[Found]) -> int:
        return findings_on(self._connection).replace(lease, public_id, findings)

    @override
    def standing(self, second_ids: Sequence[str]) -> Mapping[str, SecondStage]:
        records = SqlScans(self._connection).records_of(second_ids)
        warned = self._warnings(second_ids)
        return {
            one.scan.id: SecondStage(one, self._followed(one), tuple(warned.get(one.scan.id, ()))) for one in records
        }

    def _warnings(self, second_ids: Sequence[str]) -> dict[str, list[str]]:
        query = select(scans.c.id, scans.c.warnings).where(scans.c.id.in_(second_ids), scans.c.warnings != "[]")
        return {row.id: json.loads(row.warnings) for row in self._connection.execute(query)} if second_ids else {}

    def _followed(self, record: SummaryRecord) -> Followed | None:
        """The row at which the next unit that is not done yet stands."""
        tally = record.tally
        done = tally.completed_units + tally.failed_units + tally.excluded_units + tally.in_flight_units
        rows = follow_ups.c
        query = (
            select(rows.units_before, rows.units, rows.settled_before, rows.settled_after)
            .where(rows.scan_id == record.scan.id, rows.units_before <= done)
            .order_by(rows.address_start.desc())
            .limit(1)
        )
        if done >= record.scan.followed_units:
            return None
        row = self._connection.execute(query).first()
        return Followed(*row) if row else None

    @override
    def give_whole_rate(self) -> None:
        first, by_node = scans.alias("first"), scan_nodes.c
        settled = func.coalesce(func.sum(by_node.chunks_done + by_node.chunks_failed), 0)
        settled_of_first = select(settled).where(by_node.scan_id == first.c.id).scalar_subquery()
        whole = first.c.rate_pps + first.c.then_rate_pps
        is_due = and_(
            first.c.id == scans.c.follows, first.c.then_rate_pps.is_not(None), first.c.chunks_total == settled_of_first
        )
        due = exists().where(is_due, scans.c.rate_pps < whole)
        rate = select(whole).where(first.c.id == scans.c.follows).scalar_subquery()
        still_open = and_(scans.c.status.in_(OPEN), scans.c.follows.is_not(None), due)
        self._connection.execute(update(scans).where(still_open).values(rate_pps=rate))


class PostgresStages(SqlStages):
    """Adds by functions of the server, which a worker's login needs (docs/adr/0026)."""

    @override
    def lock(self, second_id: str) -> None:
        call(self._connection, "lock_stage", second_id)

    @override
    def add(self, lease: Lease, second_id: str, parts: Sequence[FollowUp], warning: str | None) -> bool:
        rows = json.dumps(list(self._rows(lease, parts)))
        return bool(call(self._connection, "add_follow_ups", second_id, rows, warning)[0][0])


def stages_on(connection: Connection) -> SqlStages:
    """Second stages for the database of a connection."""
    return PostgresStages(connection) if connection.dialect.name == "postgresql" else SqlStages(connection)


def _cut(row: RowMapping, span: ChunkSpan) -> FollowUp:
    """The span's addresses and ports of the row that it is part of: a straggler is cut into several."""
    addresses = AddressSet.of_texts(row["addresses"].splitlines())
    start = span.address_start - row["address_start"]
    return FollowUp(
        addresses.slice(start, span.address_count), PortSet.parse(row["ports"]).slice(span.port_start, span.port_count)
    )


def _with_warning(warnings: str, warning: str | None) -> str:
    known = json.loads(warnings)
    return json.dumps([*known, warning]) if warning and len(known) < MAX_WARNINGS else warnings
