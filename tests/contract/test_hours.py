"""A scan runs in the hours of all scopes that have a part of it, and in no others; on both databases."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import scans
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.timing.hours import AllowedHours, parse_hours
from cloudx.services.access.edit_policy import add_scope, delete_scope
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.control import pause_scan, resume_scan, stop_scan
from cloudx.services.schedules.keep_hours import KeepHours
from fixtures.dispatch_office import FIT_NODES, Office
from fixtures.ledgers import ADMIN, Desk
from rig.waiting import until


class Clock:
    """A ledger's clock, and hours that are open or closed by it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.keep = KeepHours(desk.open_ledger, desk.policies)

    def now(self) -> datetime:
        with self.desk.open_ledger(read_only=True) as ledger:
            return ledger.now()

    def hours(self, opens_in: int, closes_in: int) -> AllowedHours:
        """Hours of each day that open and close so many hours from now."""
        first, end = (f"{self.now() + timedelta(hours=hours):%H:%M}" for hours in (opens_in, closes_in))
        return parse_hours({"timezone": "UTC", "windows": [{"from": first, "to": end}]})

    def scope(self, hours: AllowedHours, *targets: str, owner: str = "ann", expires_at: datetime | None = None) -> str:
        wanted = {"targets": targets or ("10.0.0.0/8",), "owner": owner, "note": "", "expires_at": expires_at}
        return add_scope(self.desk.open_ledger, ADMIN, allowed_hours=hours, **wanted).id  # type: ignore[arg-type]

    def closed(self, *targets: str, **more: str) -> str:
        return self.scope(self.hours(3, 5), *targets, **more)  # type: ignore[arg-type]

    def open(self, *targets: str) -> str:
        return self.scope(self.hours(-2, 3), *targets)

    def move(self, scan: Scan, **values: datetime | None) -> None:
        """Set when the scan opens and closes, as time that passes would."""
        with self.desk.engine.begin() as connection:
            connection.execute(update(scans).where(scans.c.id == scan.id).values(**values))

    def reason(self, scan: Scan) -> str:
        return self.desk.show(scan).waiting_reason or ""


@pytest.fixture
def clock(desk: Desk) -> Clock:
    return Clock(desk)


def test_a_scan_outside_of_the_hours_waits_and_says_for_which_scope_and_until_when(clock: Clock) -> None:
    scope_id = clock.closed()
    scan = clock.desk.submit("10.0.0.0/24")
    assert clock.desk.claim() is None
    shown = clock.desk.show(scan)
    assert shown.scan.status is ScanStatus.SUBMITTED and shown.eta_seconds is None
    assert shown.waits_until is not None
    assert timedelta(hours=2, minutes=58) < shown.waits_until - clock.now() <= timedelta(hours=3)
    scope, when = f"scope {scope_id} of ann", f"{shown.waits_until:%H:%M} UTC"
    assert re.fullmatch(rf"Waits for the hours of {scope}: opens .*{when}, in (3 h|2 h \d+ min)\.", clock.reason(scan))


def test_it_runs_when_its_hours_open_and_ends_its_scanners_when_they_close(clock: Clock) -> None:
    clock.closed()
    scan = clock.desk.submit("10.0.0.0/22", rate_pps=20)
    now = clock.now()
    clock.move(scan, opens_at=now - timedelta(seconds=1), closes_at=now + timedelta(hours=1))
    claim = clock.desk.must_claim()
    assert clock.desk.renew(claim) is RenewalResult.GO_ON
    clock.move(scan, closes_at=now - timedelta(seconds=1))
    assert clock.desk.renew(claim) is RenewalResult.DROP
    release_chunk(clock.desk.open_ledger, claim)
    assert clock.desk.claim() is None  # though nobody has looked yet
    assert clock.keep() == 1
    assert clock.desk.show(scan).waits_until is not None
    assert clock.desk.claim() is None
    assert [clock.keep() for _ in range(2)] == [0, 0]


def test_an_open_scope_lets_it_run_until_it_closes(clock: Clock) -> None:
    clock.open()
    scan = clock.desk.submit("10.0.0.0/24")
    hold = clock.desk.show(scan).scan.hold
    assert hold.opens_at is None and hold.closes_at is not None
    assert timedelta(hours=2, minutes=58) < hold.closes_at - clock.now() <= timedelta(hours=3)
    assert clock.reason(scan) == ""
    assert clock.desk.claim() is not None


def test_every_scope_that_has_a_part_of_it_must_be_open_and_the_others_do_not_matter(clock: Clock) -> None:
    clock.closed("10.9.0.0/16")
    free, held = clock.desk.submit("10.8.0.0/24"), clock.desk.submit("10.8.255.0-10.9.0.1")
    assert clock.desk.must_claim().scan.id == free.id
    stop_scan(clock.desk.open_ledger, free.id, ADMIN)
    clock.open("10.8.0.0/15")
    clock.keep()
    assert clock.desk.claim("w2") is None
    assert "10.9" not in clock.reason(held) and clock.reason(held).startswith("Waits for the hours of scope ")


def test_hours_that_never_meet_are_told_and_end_with_one_of_the_scopes(clock: Clock) -> None:
    first, _ = clock.closed(), clock.scope(clock.hours(6, 8), owner="bob")
    scan = clock.desk.submit("10.0.0.0/24")
    assert "never all open at once" in clock.reason(scan)
    assert clock.desk.show(scan).waits_until is None
    delete_scope(clock.desk.open_ledger, ADMIN, first)
    assert clock.keep() == 1
    assert "of bob: opens" in clock.reason(scan)


def test_hours_that_are_made_while_it_runs_hold_it_and_their_removal_lets_it_go_on(clock: Clock) -> None:
    scan = clock.desk.submit("10.0.0.0/22", rate_pps=20)
    claim = clock.desk.must_claim()
    assert clock.keep() == 0
    scope_id = clock.closed()
    assert clock.keep() == 1
    assert clock.desk.renew(claim) is RenewalResult.DROP
    delete_scope(clock.desk.open_ledger, ADMIN, scope_id)
    assert clock.keep() == 1
    assert clock.desk.renew(claim) is RenewalResult.GO_ON
    assert clock.desk.show(scan).scan.hold.closes_at is None


def test_a_scope_that_expires_takes_its_hours_along(clock: Clock) -> None:
    clock.scope(clock.hours(3, 5), expires_at=clock.now() + timedelta(seconds=1))
    scan = clock.desk.submit("10.0.0.0/24")
    assert clock.desk.claim() is None
    until(lambda: clock.keep() == 1, 30, lambda: clock.desk.show(scan))
    assert clock.desk.claim() is not None


def test_a_pause_and_hours_hold_it_each_by_itself(clock: Clock) -> None:
    scope_id = clock.closed()
    scan = clock.desk.submit("10.0.0.0/24")
    pause_scan(clock.desk.open_ledger, scan.id, ADMIN)
    assert clock.reason(scan).startswith("Paused by ada")
    resume_scan(clock.desk.open_ledger, scan.id, ADMIN)
    assert clock.desk.claim() is None
    pause_scan(clock.desk.open_ledger, scan.id, ADMIN)
    delete_scope(clock.desk.open_ledger, ADMIN, scope_id)
    clock.keep()
    assert clock.desk.claim() is None
    resume_scan(clock.desk.open_ledger, scan.id, ADMIN)
    assert clock.desk.claim() is not None


def test_no_worker_is_dispatched_outside_of_the_hours_and_they_come_when_it_opens(office: Office) -> None:
    clock = Clock(office.desk)
    clock.closed()
    scan = office.submit()
    office.settle()
    assert office.alive(scan) == []
    clock.move(scan, opens_at=clock.now())
    office.settle()
    assert len(office.alive(scan)) == FIT_NODES


def test_the_hours_of_a_scope_are_kept_as_they_were_written(clock: Clock) -> None:
    hours = parse_hours({"timezone": "Europe/Berlin", "windows": [{"days": ["sat"], "from": "22:00", "to": "06:00"}]})
    scope_id = clock.scope(hours)
    with clock.desk.open_ledger(read_only=True) as ledger:
        assert [scope.allowed_hours for scope in ledger.policies.scopes()] == [None, hours]
    delete_scope(clock.desk.open_ledger, ADMIN, scope_id)
    with clock.desk.open_ledger(read_only=True) as ledger:
        assert [scope.allowed_hours for scope in ledger.policies.removed_scopes()] == [hours]
