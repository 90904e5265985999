"""Each tick of a schedule submits one scan, whatever dies and however many processes look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from cloudx.adapters.database.schema.tables import scans, schedules
from cloudx.api.schemas.schedules import request_of
from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from cloudx.domain.timing.schedules import Missed, Overlap, Schedule
from cloudx.services.access.edit_policy import AddExclusion, delete_scope
from cloudx.services.access.tokens import issue_token, revoke_token
from cloudx.services.scans.control import stop_scan
from cloudx.services.schedules.edit_lists import add_list
from cloudx.services.schedules.edit_schedules import EditSchedules, ScheduleRequest, delete_schedule
from cloudx.services.schedules.run_due import RunSchedules
from contract.test_concurrent_workers import run_at_once
from fixtures.dispatch_office import mortal_ledger
from fixtures.fakes.scan_jobs import Died, Mortal
from fixtures.ledgers import ADMIN, Desk, NameTable

ANN = Principal("ann", Role.OPERATOR)
SCAN = {"target": "10.0.0.0/30", "tool": "masscan", "port": 80}
EACH_MINUTE: dict[str, Any] = {"cron": "* * * * *", "timezone": "UTC"}


class Clockwork:
    """A ledger's schedules, with the moments of their ticks in the test's hand."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.edit = EditSchedules(desk.open_ledger, desk.submit_scan, request_of)
        self.run = RunSchedules(desk.open_ledger, desk.submit_scan, request_of)

    def add(self, name: str = "nightly", principal: Principal = ANN, **more: Any) -> Schedule:
        request = {"scan": SCAN} | EACH_MINUTE | more
        return self.edit.add(principal, ScheduleRequest(name, **request))

    def make_due(self, schedule: Schedule, seconds_ago: float = 0) -> datetime:
        """Let its next tick have been so long ago."""
        with self.desk.open_ledger(read_only=True) as ledger:
            tick = ledger.now() - timedelta(seconds=seconds_ago)
        with self.desk.engine.begin() as connection:
            connection.execute(update(schedules).where(schedules.c.id == schedule.id).values(next_at=tick))
        return tick

    def now(self, schedule: Schedule) -> Schedule:
        with self.desk.open_ledger(read_only=True) as ledger:
            return next(one for one in ledger.schedules.all() if one.id == schedule.id)

    def outcome(self, schedule: Schedule) -> str:
        last_run = self.now(schedule).last_run
        return last_run.outcome if last_run else "none"

    def scans(self) -> list[str]:
        with self.desk.engine.connect() as connection:
            return list(connection.execute(select(scans.c.id).order_by(scans.c.id)).scalars())


@pytest.fixture
def clockwork(desk: Desk) -> Clockwork:
    return Clockwork(desk)


def test_nothing_runs_before_its_time_and_a_tick_runs_once(clockwork: Clockwork) -> None:
    schedule = clockwork.add(cron="0 0 1 1 *")
    assert clockwork.run() == 0
    clockwork.make_due(schedule)
    assert [clockwork.run() for _ in range(3)] == [1, 0, 0]
    (scan_id,) = clockwork.scans()
    after = clockwork.now(schedule)
    assert after.last_run is not None and after.last_run.scan_id == scan_id
    assert after.next_at is not None and after.next_at > datetime.now(UTC)
    shown = clockwork.desk.engine.connect().execute(select(scans.c.created_by, scans.c.name)).one()
    assert tuple(shown) == ("ann", "nightly")


def test_however_many_processes_look_at_once_a_tick_submits_one_scan(clockwork: Clockwork) -> None:
    schedule = clockwork.add(overlap=Overlap.QUEUE)
    others = [Clockwork(clockwork.desk.worker_elsewhere()) for _ in range(4)]
    for count in range(1, 4):
        clockwork.make_due(schedule)
        run_at_once(*(other.run for other in others))
        assert len(clockwork.scans()) == count
        stop_scan(clockwork.desk.open_ledger, clockwork.scans()[-1], ADMIN)


def test_a_death_at_any_moment_of_a_tick_leaves_one_scan_or_a_tick_that_another_process_serves(
    clockwork: Clockwork,
) -> None:
    schedule, moment = clockwork.add(), 0
    while True:
        before = len(clockwork.scans())
        clockwork.make_due(schedule)
        mortal = Mortal(dies_at=moment)
        open_ledger = mortal_ledger(clockwork.desk.open_ledger, mortal)
        submit = replace(clockwork.desk.submit_scan, open_ledger=open_ledger)
        try:
            RunSchedules(open_ledger, submit, request_of)()
        except Died:
            clockwork.run()
            clockwork.run()
            assert len(clockwork.scans()) == before + 1, f"death at moment {moment}"
            stop_scan(clockwork.desk.open_ledger, clockwork.scans()[-1], ADMIN)
            moment += 1
            continue
        assert moment >= 2, "there was nothing to die of"
        return


def test_a_scan_that_is_not_over_skips_the_next_tick_or_queues_one(clockwork: Clockwork) -> None:
    skipping, queueing = clockwork.add("skips"), clockwork.add("queues", overlap=Overlap.QUEUE)
    for schedule in (skipping, queueing):
        clockwork.make_due(schedule)
    assert clockwork.run() == 2
    first = clockwork.now(queueing).last_scan_id
    for schedule in (skipping, queueing):
        clockwork.make_due(schedule)
    assert clockwork.run() == 0
    assert clockwork.outcome(skipping).startswith("skipped: scan ")
    assert clockwork.outcome(queueing) == f"queued: it waits for the end of scan {first}"
    clockwork.make_due(queueing)
    assert clockwork.run() == 0
    assert "waits already" in clockwork.outcome(queueing)
    for scan_id in clockwork.scans():
        stop_scan(clockwork.desk.open_ledger, scan_id, ADMIN)
    assert [clockwork.run(), clockwork.run()] == [1, 0]
    assert clockwork.now(queueing).last_scan_id != first


def test_a_missed_tick_is_skipped_or_run_once_for_all_that_were_missed(clockwork: Clockwork) -> None:
    hourly: dict[str, Any] = {"cron": "0 * * * *"}
    skipping, catching = clockwork.add("skips", **hourly), clockwork.add("runs", **hourly, missed=Missed.RUN_ONCE)
    for schedule in (skipping, catching):
        clockwork.make_due(schedule, 5 * 3600)
    with clockwork.desk.open_ledger(read_only=True) as ledger:
        is_on_time = ledger.now().minute == 0
    assert clockwork.run() == (2 if is_on_time else 1)
    assert is_on_time or clockwork.outcome(skipping) == "missed: nothing served schedules at that time"
    assert clockwork.run() == 0


def test_a_refused_tick_tells_why_and_the_next_one_is_tried_again(clockwork: Clockwork) -> None:
    desk, schedule = clockwork.desk, clockwork.add()
    with desk.open_ledger(read_only=True) as ledger:
        (scope,) = ledger.policies.scopes()
    delete_scope(desk.open_ledger, ADMIN, scope.id)
    clockwork.make_due(schedule)
    assert clockwork.run() == 0
    assert clockwork.outcome(schedule).startswith("refused: 10.0.0.0-10.0.0.3 is in no scope.")
    assert clockwork.run() == 0


def test_each_tick_goes_by_the_exclusions_and_lists_of_that_moment(clockwork: Clockwork) -> None:
    desk = clockwork.desk
    schedule = clockwork.add(scan={"list": "offices", "tool": "masscan", "port": 80})
    clockwork.make_due(schedule)
    assert clockwork.run() == 0
    assert clockwork.outcome(schedule).startswith("refused: There is no list 'offices'")
    add_list(desk.open_ledger, ANN, name="offices", targets=("10.0.0.0/30",))
    AddExclusion(desk.open_ledger, NameTable())(ADMIN, targets=("10.0.0.1",), note="")
    clockwork.make_due(schedule)
    assert clockwork.run() == 1
    with desk.open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(clockwork.scans()[0])
    assert record is not None and record.scan.addresses.size == 3


def test_a_schedule_ends_with_the_token_that_it_was_made_with_until_somebody_else_takes_it(
    clockwork: Clockwork,
) -> None:
    desk = clockwork.desk
    token, _ = issue_token(desk.open_ledger, ADMIN, name="bob", role=Role.OPERATOR, node_id=None, expires_at=None)
    schedule = clockwork.add(principal=token.principal())
    revoke_token(desk.open_ledger, ADMIN, token.id)
    clockwork.make_due(schedule)
    assert clockwork.run() == 0
    assert clockwork.outcome(schedule).startswith("refused: the token of token:bob ")
    clockwork.edit.change(ANN, schedule.id, {"name": "anns"})
    clockwork.make_due(schedule)
    assert clockwork.run() == 1


def test_a_run_by_hand_is_the_askers_and_leaves_the_ticks_alone(clockwork: Clockwork) -> None:
    schedule = clockwork.add(cron="0 0 1 1 *")
    scan = clockwork.run.by_hand(schedule.id, ADMIN)
    after = clockwork.now(schedule)
    assert (scan.created_by, after.last_scan_id, after.next_at) == ("ada", scan.id, schedule.next_at)
    with pytest.raises(NotFound):
        clockwork.run.by_hand("01900000-0000-7000-8000-000000000000", ADMIN)


def test_a_disabled_schedule_has_no_tick_and_an_enabled_one_begins_anew(clockwork: Clockwork) -> None:
    schedule = clockwork.add()
    clockwork.edit.change(ANN, schedule.id, {"enabled": False})
    assert clockwork.now(schedule).next_at is None
    assert clockwork.run() == 0
    changed = clockwork.edit.change(ANN, schedule.id, {"enabled": True, "cron": "0 0 1 1 *"})
    assert changed.next_at is not None and (changed.next_at.month, changed.next_at.day) == (1, 1)


def test_a_change_of_its_name_keeps_a_tick_that_is_due(clockwork: Clockwork) -> None:
    schedule = clockwork.add(cron="0 0 1 1 *")
    clockwork.make_due(schedule)
    clockwork.edit.change(ANN, schedule.id, {"name": "weekly"})
    assert clockwork.run() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"scan": SCAN | {"tool": "curl"}}, "tool"),
        ({"scan": SCAN | {"port": None}}, "port"),
        ({"scan": {"tool": "nmap"}}, "target"),
    ],
)
def test_what_could_never_run_is_refused_at_once_with_the_field(
    clockwork: Clockwork, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        clockwork.add(**changes)
    assert refused.value.field == field
    schedule = clockwork.add()
    with pytest.raises(InvalidInput):
        clockwork.edit.change(ANN, schedule.id, changes)
    assert clockwork.now(schedule) == schedule


def test_an_operator_gives_a_schedule_no_more_priority_than_a_scan(clockwork: Clockwork) -> None:
    urgent = SCAN | {"priority": 5}
    with pytest.raises(Forbidden):
        clockwork.add(scan=urgent)
    schedule = clockwork.add(principal=ADMIN, scan=urgent)
    clockwork.edit.change(ANN, schedule.id, {"cron": "0 0 1 1 *"})  # it is ann's now
    clockwork.make_due(schedule)
    assert clockwork.run() == 0
    assert clockwork.outcome(schedule).startswith("refused: A priority above 0 is an admin's")


def test_a_name_is_used_once_and_what_is_removed_is_gone(clockwork: Clockwork) -> None:
    schedule = clockwork.add()
    with pytest.raises(Conflict, match="already"):
        clockwork.add()
    outcomes: list[str] = []

    def try_to_add() -> None:
        try:
            outcomes.append(clockwork.add("same").name)
        except Conflict:
            outcomes.append("conflict")

    run_at_once(*[partial(try_to_add)] * 3)
    assert sorted(outcomes) == ["conflict", "conflict", "same"]
    delete_schedule(clockwork.desk.open_ledger, ANN, schedule.id)
    with pytest.raises(NotFound):
        delete_schedule(clockwork.desk.open_ledger, ANN, schedule.id)
    with pytest.raises(NotFound):
        clockwork.edit.change(ANN, schedule.id, {"name": "x"})
