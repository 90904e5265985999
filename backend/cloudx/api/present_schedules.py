"""Schedules as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cloudx.domain.scans import ScanStatus
from cloudx.domain.timing.schedules import Schedule

NEXT_RUNS = 5
_SHOWN = (
    "id", "name", "cron", "timezone", "scan", "overlap", "missed", "enabled", "created_at", "created_by",
)  # fmt: skip


def show_schedules(
    schedules: Sequence[Schedule], statuses: Mapping[str, ScanStatus], now: datetime
) -> list[dict[str, Any]]:
    """All of them."""
    return [show_schedule(schedule, statuses, now) for schedule in schedules]


def show_schedule(schedule: Schedule, statuses: Mapping[str, ScanStatus], now: datetime) -> dict[str, Any]:
    """One, with its next runs by its own clocks."""
    runs = schedule.times.next_runs(now, NEXT_RUNS) if schedule.enabled else []
    return {
        **{name: getattr(schedule, name) for name in _SHOWN},
        "next_runs": [run.isoformat() for run in runs],
        "last_run": _show_last_run(schedule, statuses),
    }


def _show_last_run(schedule: Schedule, statuses: Mapping[str, ScanStatus]) -> dict[str, Any] | None:
    last = schedule.last_run
    if last is None:
        return None
    outcome = last.outcome if last.scan_id is None else statuses.get(last.scan_id, "deleted")
    return {"scan_id": last.scan_id, "at": last.at, "outcome": outcome}
