"""One process at a time, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from cloudx.adapters.database import open_ledger_on
from cloudx.adapters.database.leader_lock import AdvisoryTurn
from cloudx.domain.errors import DependencyUnavailable
from rig.waiting import until


@pytest.fixture
def new_turn(new_postgres_url: str) -> Iterator[Callable[[], AdvisoryTurn]]:
    """Each as a process of its own would have it."""
    made: list[AdvisoryTurn] = []

    def make() -> AdvisoryTurn:
        made.append(AdvisoryTurn(lambda: new_postgres_url))
        return made[-1]

    yield make
    for turn in made:
        turn.give_back()


@pytest.fixture
def admin(new_postgres_url: str, new_engine: Callable[[str], Engine]) -> Engine:
    return new_engine(new_postgres_url)


def end_sessions(admin: Engine) -> None:
    """As a restart of PostgreSQL or a cut line does."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with admin.begin() as connection:
        connection.execute(text(query))


def ring(admin: Engine) -> None:
    with open_ledger_on(admin)() as ledger:
        ledger.dispatches.ring()
        ledger.commit()


def test_of_many_one_has_it_and_keeps_it(new_turn):
    turns = [new_turn() for _ in range(4)]
    assert [[turn.is_mine() for turn in turns] for _ in range(3)] == [[True, False, False, False]] * 3


def test_another_takes_over_when_it_is_given_back(new_turn):
    first, second = new_turn(), new_turn()
    assert first.is_mine() and not second.is_mine()
    first.give_back()
    until(second.is_mine, 5)  # PostgreSQL ends the session in its own time
    assert not first.is_mine()


def test_who_loses_the_session_is_told_and_another_takes_over(new_turn, admin):
    first, second = new_turn(), new_turn()
    assert first.is_mine() and not second.is_mine()
    end_sessions(admin)
    with pytest.raises(DependencyUnavailable):
        first.is_mine()
    until(second.is_mine, 5)
    assert not first.is_mine()


def test_a_ring_ends_the_wait_of_whose_turn_it_is(new_turn, admin):
    turn = new_turn()
    assert turn.is_mine()
    rings = threading.Timer(0.2, ring, (admin,))
    rings.start()
    started = time.monotonic()
    turn.wait(20)
    assert 0.1 < time.monotonic() - started < 5
    rings.join()


def test_a_ring_that_came_before_the_wait_ends_it_at_once_and_only_once(new_turn, admin):
    turn = new_turn()
    assert turn.is_mine()
    ring(admin)
    assert turn.is_mine(), "the question itself takes the ring in"
    started = time.monotonic()
    turn.wait(20)
    assert time.monotonic() - started < 5
    turn.wait(0.3)
    assert time.monotonic() - started >= 0.3


def test_a_ring_that_is_not_committed_is_not_heard(new_turn, admin):
    turn = new_turn()
    assert turn.is_mine()
    with open_ledger_on(admin)() as ledger:
        ledger.dispatches.ring()
    started = time.monotonic()
    turn.wait(0.3)
    assert time.monotonic() - started >= 0.29


def test_a_lost_session_ends_the_wait_quietly(new_turn, admin):
    turn = new_turn()
    assert turn.is_mine()
    end_sessions(admin)
    started = time.monotonic()
    turn.wait(20)
    assert time.monotonic() - started < 5


def test_who_has_not_the_turn_waits_out_its_time(new_turn):
    first, second = new_turn(), new_turn()
    assert first.is_mine() and not second.is_mine()
    started = time.monotonic()
    second.wait(0.2)
    assert time.monotonic() - started >= 0.19


def test_a_postgresql_that_is_not_there_is_an_outage_with_a_reason():
    turn = AdvisoryTurn(lambda: "postgresql+psycopg2://cloudx@127.0.0.1:1/none")
    with pytest.raises(DependencyUnavailable, match="does not answer"):
        turn.is_mine()
    turn.wait(0)
