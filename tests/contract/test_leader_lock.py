"""One process at a time holds the leader lock, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import ResourceClosedError

from cloudx.adapters.database import open_ledger_on
from cloudx.adapters.database.leader_lock import PostgresLeaderLock
from cloudx.domain.errors import DependencyUnavailable
from fixtures.ledgers import end_leaders_session
from rig.waiting import until


@pytest.fixture
def new_lock(new_postgres_url: str) -> Iterator[Callable[[], PostgresLeaderLock]]:
    """Makes locks, each as another process would."""
    made: list[PostgresLeaderLock] = []

    def make() -> PostgresLeaderLock:
        made.append(PostgresLeaderLock(lambda: new_postgres_url))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


@pytest.fixture
def admin(new_postgres_url: str, new_engine: Callable[[str], Engine]) -> Engine:
    return new_engine(new_postgres_url)


def notify(admin: Engine) -> None:
    with open_ledger_on(admin)() as ledger:
        ledger.dispatches.notify()
        ledger.commit()


def test_one_of_many_gets_the_lock_and_keeps_it(new_lock):
    locks = [new_lock() for _ in range(4)]
    assert [[lock.acquire() for lock in locks] for _ in range(3)] == [[True, False, False, False]] * 3


def test_another_takes_over_when_the_lock_is_released(new_lock):
    first, second = new_lock(), new_lock()
    assert first.acquire() and not second.acquire()
    first.release()
    until(second.acquire, 5)  # PostgreSQL ends the session in its own time
    assert not first.acquire()


def test_a_leader_that_loses_its_session_gets_an_error_and_another_takes_over(new_lock, admin):
    first, second = new_lock(), new_lock()
    assert first.acquire() and not second.acquire()
    end_leaders_session(admin)
    with pytest.raises(DependencyUnavailable):
        first.acquire()
    until(second.acquire, 5)
    assert not first.acquire()


def test_a_leader_that_lets_go_while_it_asks_does_not_believe_that_it_leads(new_lock, admin):
    """Two that lead would each dispatch a scan's workers."""
    first, second = new_lock(), new_lock()
    asking = first._connect()
    first.release()
    with pytest.raises(ResourceClosedError):
        first._try(asking)
    assert second.acquire() and not first.acquire()


def test_a_notification_ends_the_leaders_wait(new_lock, admin):
    lock = new_lock()
    assert lock.acquire()
    notifier = threading.Timer(0.2, notify, (admin,))
    notifier.start()
    started = time.monotonic()
    lock.wait(20)
    assert 0.1 < time.monotonic() - started < 5
    notifier.join()


def test_a_notification_before_the_wait_ends_the_next_wait_alone(new_lock, admin):
    lock = new_lock()
    assert lock.acquire()
    notify(admin)
    assert lock.acquire(), "the query itself receives the notification"
    started = time.monotonic()
    lock.wait(20)
    assert time.monotonic() - started < 5
    lock.wait(0.3)
    assert time.monotonic() - started >= 0.3


def test_a_notification_that_is_not_committed_ends_no_wait(new_lock, admin):
    lock = new_lock()
    assert lock.acquire()
    with open_ledger_on(admin)() as ledger:
        ledger.dispatches.notify()
    started = time.monotonic()
    lock.wait(0.3)
    assert time.monotonic() - started >= 0.29


def test_a_lost_session_ends_the_wait_quietly(new_lock, admin):
    lock = new_lock()
    assert lock.acquire()
    end_leaders_session(admin)
    started = time.monotonic()
    lock.wait(20)
    assert time.monotonic() - started < 5


def test_a_process_that_is_not_the_leader_waits_the_whole_time(new_lock):
    first, second = new_lock(), new_lock()
    assert first.acquire() and not second.acquire()
    started = time.monotonic()
    second.wait(0.2)
    assert time.monotonic() - started >= 0.19


def test_a_postgresql_that_is_not_there_is_an_outage_with_a_reason():
    lock = PostgresLeaderLock(lambda: "postgresql+psycopg2://cloudx@127.0.0.1:1/none")
    with pytest.raises(DependencyUnavailable, match="does not answer"):
        lock.acquire()
    lock.wait(0)
