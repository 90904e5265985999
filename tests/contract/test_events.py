"""Events on both databases: one for each change, in one order, and none that a reader passes by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, text, update

from cloudx.adapters.database.schema.event_tables import events, pruned_events
from cloudx.domain.errors import LeaseLost
from cloudx.domain.events.event import Event, EventType
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.events.prune import PruneEvents
from cloudx.services.ledger.events import EventPage
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.control import delete_scan, pause_scan, resume_scan, stop_scan
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import ADMIN, LONG_AGO, POSTGRESQL_ALONE, Desk


def page(open_ledger: OpenLedger, after: int = 0, limit: int = 1000) -> EventPage:
    with open_ledger(read_only=True) as ledger:
        return ledger.events.page(after, limit)


def head(open_ledger: OpenLedger) -> int:
    with open_ledger(read_only=True) as ledger:
        return ledger.events.head()


def told(open_ledger: OpenLedger, after: int = 0) -> list[tuple[str, str]]:
    return [(event.type.value, event.state) for event in page(open_ledger, after).events]


def test_a_scan_tells_each_status_and_each_chunk_once_in_order(desk: Desk, open_ledger: OpenLedger) -> None:
    start = head(open_ledger)
    scan = desk.submit("10.0.0.0/30")
    assert len(desk.run_to_end(scan)) == 1
    first, claimed, *_ = (events := list(page(open_ledger, start).events))
    assert [(event.type.value, event.state) for event in events] == [
        ("scan", "submitted"),
        ("scan", "running"),
        ("chunk", "leased"),
        ("chunk", "done"),
        ("scan", "completed"),
    ]
    assert {event.scan_id for event in events} == {scan.id}
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert (events[2].number, events[2].attempt, events[2].node_id) == (0, 1, "node-of-w1")
    assert start < first.id < claimed.id
    assert first.at <= events[-1].at


def test_what_is_rolled_back_was_never_told(desk: Desk, open_ledger: OpenLedger) -> None:
    scan = desk.submit()
    start = head(open_ledger)
    with open_ledger() as ledger:
        locked = ledger.scans.lock(scan.id)
        assert locked is not None
        ledger.scans.save_state(locked.moved_to(ScanStatus.STOPPED, ledger.now()))
    assert told(open_ledger, start) == []


def test_every_end_of_an_attempt_is_told_with_its_outcome(desk: Desk, open_ledger: OpenLedger) -> None:
    scan = desk.submit("10.0.0.0/30")
    start = head(open_ledger)
    release_chunk(open_ledger, desk.must_claim("w1"))
    fail_chunk(open_ledger, desk.must_claim("w2"), "it broke")
    desk.end_back_off(scan)
    lost = desk.must_claim("w3")
    desk.expire(lost)
    reconcile_scans(open_ledger)
    desk.complete(desk.must_claim("w4"))
    with pytest.raises(LeaseLost):
        desk.complete(lost)
    chunk_events = [state for kind, state in told(open_ledger, start) if kind == "chunk"]
    assert chunk_events == ["leased", "released", "leased", "failed", "leased", "lost", "leased", "done"]


def test_a_stop_and_a_delete_are_told_and_a_failed_scan_says_why(desk: Desk, open_ledger: OpenLedger) -> None:
    start = head(open_ledger)
    scan = desk.submit()
    stop_scan(open_ledger, scan.id, ADMIN)
    delete_scan(open_ledger, scan.id, ADMIN)
    assert told(open_ledger, start) == [("scan", "submitted"), ("scan", "stopped"), ("scan", "gone")]
    failing, claim = desk.submit("10.0.0.0/30"), desk.must_claim()
    with open_ledger() as ledger:
        assert ledger.scans.fail(claim.lease, "its scope is gone")
        ledger.commit()
    last = page(open_ledger, start).events[-1]
    assert (last.scan_id, last.state, last.detail) == (failing.id, "failed", "its scope is gone")


def test_a_pause_is_told_and_so_is_what_a_resumed_scan_is_then(desk: Desk, open_ledger: OpenLedger) -> None:
    start = head(open_ledger)
    scan = desk.submit(suspended=True)
    resume_scan(open_ledger, scan.id, ADMIN)
    desk.must_claim()
    pause_scan(open_ledger, scan.id, ADMIN)
    pause_scan(open_ledger, scan.id, ADMIN)
    stop_scan(open_ledger, scan.id, ADMIN)
    states = [event.state for event in page(open_ledger, start).events if event.type is EventType.SCAN]
    assert states == ["submitted", "paused", "submitted", "running", "paused", "stopped"]


def test_pages_of_any_size_resume_within_a_transaction(desk: Desk, open_ledger: OpenLedger) -> None:
    scan = desk.submit("10.0.0.0/30")
    desk.run_to_end(scan)
    whole = list(page(open_ledger).events)
    for limit in (1, 2, 3):
        position, read = 0, list[Event]()
        while batch := page(open_ledger, position, limit).events:
            read += batch
            position = batch[-1].id
        assert read == whole
    for event in whole:
        assert list(page(open_ledger, event.id).events) == whole[whole.index(event) + 1 :]


@contextmanager
def held_open(engine: Engine, scan: Scan) -> Iterator[Connection]:
    """A transaction that has written an event and does not end."""
    with engine.connect() as connection:
        connection.execute(text("UPDATE scans SET status = 'running' WHERE id = :id"), {"id": scan.id})
        yield connection


@POSTGRESQL_ALONE
def test_an_event_that_commits_late_is_not_passed_by(desk: Desk, open_ledger: OpenLedger, engine: Engine) -> None:
    slow, quick = desk.submit("10.0.0.0/30"), desk.submit("10.0.1.0/30")
    position = page(open_ledger).upto
    with held_open(engine, slow) as connection:
        stop_scan(open_ledger, quick.id, ADMIN)
        # The stop has committed, with a greater id than what is still open: told now, the other would be passed by.
        early = page(open_ledger, position)
        assert list(early.events) == []
        connection.commit()
    late = page(open_ledger, early.upto)
    assert [(event.scan_id, event.state) for event in late.events] == [(slow.id, "running"), (quick.id, "stopped")]


@POSTGRESQL_ALONE
def test_a_reader_beside_many_writers_gets_each_event_once(desk: Desk, open_ledger: OpenLedger) -> None:
    scans = [desk.submit(f"10.0.{number}.0/30") for number in range(24)]
    position, read = head(open_ledger), list[Event]()

    def reading() -> None:
        nonlocal position
        while len(read) < 24 * 4:
            batch = page(open_ledger, position, 7)
            read.extend(batch.events)
            position = batch.upto

    def working(mine: list[Scan], name: str) -> None:
        for scan in mine:
            desk.worker_elsewhere().run_to_end(scan, name)

    run_at_once(reading, *(lambda mine=scans[place::4], name=f"w{place}": working(mine, name) for place in range(4)))
    assert [event.id for event in read] == sorted({event.id for event in read})
    for scan in scans:
        states = [event.state for event in read if event.scan_id == scan.id]
        assert states == ["running", "leased", "done", "completed"]


def age(engine: Engine, *which: Event) -> None:
    with engine.begin() as connection:
        for event in which:
            connection.execute(update(events).where(events.c.transaction_id == event.id >> 16).values(at=LONG_AGO))


def test_old_events_go_and_a_position_before_them_says_so(desk: Desk, open_ledger: OpenLedger, engine: Engine) -> None:
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    first, second = page(open_ledger).events
    assert not page(open_ledger, 0).is_broken, "nothing was removed yet"
    age(engine, first)
    assert PruneEvents(open_ledger)() == 1
    assert PruneEvents(open_ledger)() == 0
    assert page(open_ledger, 0).is_broken
    assert page(open_ledger, first.id - 1).is_broken
    kept = page(open_ledger, second.id - 1)
    assert (list(kept.events), kept.is_broken) == ([second], False)


def test_ids_go_on_growing_when_all_events_are_gone(desk: Desk, open_ledger: OpenLedger, engine: Engine) -> None:
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    gone = page(open_ledger).events
    position = head(open_ledger)
    age(engine, *gone)
    assert PruneEvents(open_ledger)() == 2
    desk.submit("10.0.1.0/24")
    later = page(open_ledger, position)
    assert not later.is_broken
    assert [event.state for event in later.events] == ["submitted"]
    assert later.events[0].id > position > gone[-1].id


def test_a_position_that_lies_ahead_is_of_another_ledger(desk: Desk, open_ledger: OpenLedger) -> None:
    desk.submit()
    assert page(open_ledger, head(open_ledger) + (1 << 40)).is_broken
    assert page(open_ledger, (1 << 63) - 1).is_broken
    assert not page(open_ledger, head(open_ledger)).is_broken


@POSTGRESQL_ALONE
def test_a_ledger_that_was_moved_to_another_server_tells_what_comes_and_forgets_the_rest(
    desk: Desk, open_ledger: OpenLedger, engine: Engine
) -> None:
    desk.submit()
    foreign = 1 << 40  # a restored table has the numbers of the server it was on
    with engine.begin() as connection:
        connection.execute(update(events).values(transaction_id=foreign, at=LONG_AGO))
        connection.execute(update(pruned_events).values(transaction_id=foreign))
    start = head(open_ledger)
    stop_scan(open_ledger, desk.submit("10.0.1.0/24").id, ADMIN)
    assert told(open_ledger, start) == [("scan", "submitted"), ("scan", "stopped")]
    assert PruneEvents(open_ledger)() == 1
    assert told(open_ledger, start) == [("scan", "submitted"), ("scan", "stopped")]


def test_a_prune_leaves_what_is_younger_than_two_hours(desk: Desk, open_ledger: OpenLedger, engine: Engine) -> None:
    stop_scan(open_ledger, desk.submit().id, ADMIN)
    with open_ledger(read_only=True) as ledger:
        now = ledger.now()
    with engine.begin() as connection:
        connection.execute(update(events).values(at=now - timedelta(hours=1, minutes=59)))
    assert PruneEvents(open_ledger)() == 0
    assert [event.type for event in page(open_ledger).events] == [EventType.SCAN, EventType.SCAN]
    assert replace(page(open_ledger), events=()) == EventPage((), page(open_ledger).upto)
