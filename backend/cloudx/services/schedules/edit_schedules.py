"""Make, change and remove schedules; every change is audited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloudx.domain.access import Principal
from cloudx.domain.errors import Conflict, NotFound
from cloudx.domain.timing.cron import parse_cron
from cloudx.domain.timing.schedules import Missed, Overlap, Schedule
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.scans.scan_request import ScanRequest
from cloudx.services.scans.submit import SubmitScan

MAX_SCHEDULES = 1000

ReadRequest = Callable[[Mapping[str, Any]], ScanRequest]  # of a body of POST /api/scans; raises InvalidInput


@dataclass(frozen=True)
class ScheduleRequest:
    """A schedule as a user typed it."""

    name: str
    cron: str
    timezone: str
    scan: Mapping[str, Any]
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.SKIP
    enabled: bool = True


@dataclass(frozen=True)
class EditSchedules:
    """Makes and changes schedules. Their scans are submitted as the principal who made or last changed them."""

    open_ledger: OpenLedger
    submit_scan: SubmitScan
    read_request: ReadRequest

    def add(self, principal: Principal, request: ScheduleRequest) -> Schedule:
        """Keep a schedule. Raises InvalidInput, Forbidden, or Conflict where the name is used."""
        times = parse_cron(request.cron, request.timezone)
        self._check_scan(request.scan, principal)
        asked = {**vars(request), "cron": times.expression}
        with self.open_ledger() as ledger:
            if ledger.schedules.count() >= MAX_SCHEDULES:
                raise Conflict(f"There are {MAX_SCHEDULES:,} schedules already. Remove one first.")
            _require_free_name(ledger, request.name)
            now = ledger.now()
            made = Schedule(
                id=new_id(),
                **asked,
                created_at=now,
                created_by=principal.name,
                role=principal.role,
                token_id=principal.token_id,
            ).timed_from(now)
            ledger.schedules.add(made)
            ledger.audit.record(principal, "schedule.add", made.id, name=made.name, cron=made.cron)
            ledger.commit()
            return made

    def change(self, principal: Principal, schedule_id: str, changes: Mapping[str, Any]) -> Schedule:
        """Replace some of its fields. Raises NotFound, InvalidInput, Forbidden or Conflict."""
        if "scan" in changes:
            self._check_scan(changes["scan"], principal)
        with self.open_ledger() as ledger:
            before = _locked(ledger, schedule_id)
            if changes.get("name", before.name) != before.name:
                _require_free_name(ledger, changes["name"])
            mine = {"created_by": principal.name, "role": principal.role, "token_id": principal.token_id}
            after = _retimed(before, replace(before, **{**changes, **mine}), ledger)
            ledger.schedules.save(after)
            shown = {name: value for name, value in changes.items() if name != "scan"}
            ledger.audit.record(principal, "schedule.change", after.id, **shown, changed=sorted(changes))
            ledger.commit()
            return after

    def _check_scan(self, body: Mapping[str, Any], principal: Principal) -> None:
        """What can be said of its scan now; scopes, names and lists are looked up at each tick."""
        self.submit_scan.check(self.read_request(body), principal)


def delete_schedule(open_ledger: OpenLedger, principal: Principal, schedule_id: str) -> None:
    """Forget one; the scans that it submitted go on. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.schedules.delete(schedule_id):
            raise schedule_not_found(schedule_id)
        ledger.audit.record(principal, "schedule.delete", schedule_id)
        ledger.commit()


def schedule_not_found(schedule_id: str) -> NotFound:
    """The error for an id that no schedule has."""
    return NotFound(f"There is no schedule {schedule_id[:64]!r}. `cloudx schedules list` shows them.")


def _locked(ledger: Ledger, schedule_id: str) -> Schedule:
    schedule = ledger.schedules.lock(schedule_id)
    if schedule is None:
        raise schedule_not_found(schedule_id)
    return schedule


def _retimed(before: Schedule, after: Schedule, ledger: Ledger) -> Schedule:
    """With the next tick by its new times; one whose times stay keeps the tick that may be due now."""
    times = parse_cron(after.cron, after.timezone)
    after = replace(after, cron=times.expression)
    is_same = (before.cron, before.timezone, before.enabled) == (after.cron, after.timezone, after.enabled)
    return after if is_same else after.timed_from(ledger.now())


def _require_free_name(ledger: Ledger, name: str) -> None:
    if any(known.name == name for known in ledger.schedules.all()):
        raise Conflict(f"There is a schedule {name!r} already. Take another name, or change that one.")
