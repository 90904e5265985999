"""Schedules. Each is served with its row locked, so that one process serves a tick."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, or_, select, update
from typing_extensions import override

from cloudx.adapters.database.schema.tables import scans, schedules
from cloudx.domain.access import Role
from cloudx.domain.scans import ScanStatus
from cloudx.domain.timing.schedules import LastRun, Missed, Overlap, Schedule
from cloudx.services.ledger.schedules import Schedules

_DUE_AT_ONCE = 100


class SqlSchedules(Schedules):
    """Implements Schedules."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def all(self) -> list[Schedule]:
        rows = self._connection.execute(select(schedules).order_by(schedules.c.id)).mappings()
        return [_schedule_of(row) for row in rows]

    @override
    def due(self, now: datetime) -> list[Schedule]:
        its = schedules.c
        is_due = or_(its.next_at <= now, its.queued_at.is_not(None))
        query = select(schedules).where(its.enabled, is_due).order_by(func.coalesce(its.queued_at, its.next_at))
        return [_schedule_of(row) for row in self._connection.execute(query.limit(_DUE_AT_ONCE)).mappings()]

    @override
    def lock(self, schedule_id: str) -> Schedule | None:
        query = select(schedules).where(schedules.c.id == schedule_id).with_for_update()
        row = self._connection.execute(query).mappings().first()
        return _schedule_of(row) if row else None

    @override
    def add(self, schedule: Schedule) -> None:
        """The unique name lets only one request win."""
        self._connection.execute(insert(schedules).values(**_values(schedule)))

    @override
    def save(self, schedule: Schedule) -> None:
        self._connection.execute(update(schedules).where(schedules.c.id == schedule.id).values(**_values(schedule)))

    @override
    def delete(self, schedule_id: str) -> bool:
        return bool(self._connection.execute(delete(schedules).where(schedules.c.id == schedule_id)).rowcount)

    @override
    def count(self) -> int:
        return int(self._connection.execute(select(func.count()).select_from(schedules)).scalar_one())

    @override
    def statuses(self, of: list[Schedule]) -> dict[str, ScanStatus]:
        last = {one.last_scan_id for one in of} | {one.last_run.scan_id for one in of if one.last_run}
        query = select(scans.c.id, scans.c.status).where(scans.c.id.in_(last - {None}))
        return {row.id: ScanStatus(row.status) for row in self._connection.execute(query)}


_PLAIN = ("id", "name", "cron", "timezone", "enabled", "created_at", "created_by", "token_id", "next_at", "queued_at")


def _values(schedule: Schedule) -> dict[str, Any]:
    last = schedule.last_run
    return {
        **{name: getattr(schedule, name) for name in (*_PLAIN, "last_scan_id")},
        "scan": json.dumps(schedule.scan),
        "overlap": schedule.overlap.value,
        "missed": schedule.missed.value,
        "role": schedule.role.value,
        "last_run_at": last.at if last else None,
        "last_run_outcome": last.outcome if last else None,
        "last_run_scan_id": last.scan_id if last else None,
    }


def _schedule_of(row: RowMapping) -> Schedule:
    at, outcome = row["last_run_at"], row["last_run_outcome"]
    return Schedule(
        **{name: row[name] for name in (*_PLAIN, "last_scan_id")},
        scan=json.loads(row["scan"]),
        overlap=Overlap(row["overlap"]),
        missed=Missed(row["missed"]),
        role=Role(row["role"]),
        last_run=LastRun(at, outcome, row["last_run_scan_id"]) if at else None,
    )
