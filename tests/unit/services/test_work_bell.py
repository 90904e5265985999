"""Workers without work are called when there may be some, each exactly when it should be, a few at first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cloudx.domain.errors import RateLimited
from cloudx.services.chunks.work_bell import FIRST_WAVE, LOOKS_PER_SECOND, SHORTEST_REST_SECONDS, WorkBell
from rig.waiting import until

LONG_SECONDS = 60.0


@pytest.fixture
def pool():
    with ThreadPoolExecutor(100) as made:
        yield made


def waiting(bell: WorkBell, pool: ThreadPoolExecutor, count: int, seen: int = 0) -> list[Future[int]]:
    """So many who wait by now."""
    before = len(bell._waiting)
    made = [pool.submit(bell.wait, seen, LONG_SECONDS) for _ in range(count)]
    until(lambda: len(bell._waiting) == before + count, 10)
    return made


def test_a_notice_calls_who_waits_and_tells_its_number(pool):
    bell = WorkBell()
    one, other = waiting(bell, pool, 2)
    bell.ring(7)
    assert [one.result(10), other.result(10)] == [7, 7]


def test_what_came_between_two_waits_is_told_at_once():
    bell = WorkBell()
    bell.ring(7)
    started = time.monotonic()
    assert bell.wait(6, LONG_SECONDS) == 7
    assert time.monotonic() - started < LONG_SECONDS / 2


def test_without_a_notice_the_number_stays():
    bell = WorkBell()
    bell.ring(7)
    assert bell.wait(7, 0.01) == 7
    assert not bell._waiting


def test_who_has_heard_more_at_another_process_waits_for_the_next_notice(pool):
    """This process began to listen earlier or later than the other: the numbers are the database's time."""
    bell = WorkBell()
    bell.ring(7)
    assert bell.wait(9, 0.01) == 9
    (one,) = waiting(bell, pool, 1, seen=9)
    bell.ring(10)
    assert one.result(10) == 10


def test_a_notice_that_was_overtaken_counts_too(pool):
    bell = WorkBell()
    bell.ring(7)
    (one,) = waiting(bell, pool, 1, seen=7)
    bell.ring(6)
    assert one.result(10) > 7


def test_a_fleet_is_called_in_waves_and_nobody_is_forgotten(pool):
    called_by_then: list[int] = []
    bell = WorkBell(sleep=lambda _seconds: called_by_then.append(80 - len(bell._waiting)))
    everybody = waiting(bell, pool, 80)
    bell.ring(1)
    assert [one.result(10) for one in everybody] == [1] * 80
    until(lambda: called_by_then[-1] == 80, 10)
    assert called_by_then[:3] == [FIRST_WAVE, 3 * FIRST_WAVE, 80]


def test_a_notice_during_the_waves_calls_those_who_came_in_between(pool):
    goes_on, waited = threading.Event(), list[bool]()
    bell = WorkBell(sleep=lambda _seconds: waited.append(goes_on.wait(10)))
    early = waiting(bell, pool, FIRST_WAVE + 1)
    bell.ring(1)
    until(lambda: len(bell._waiting) == 1, 10)
    (late,) = waiting(bell, pool, 1, seen=1)
    bell.ring(2)
    goes_on.set()
    assert late.result(10) == 2
    assert {one.result(10) for one in early} <= {1, 2}


def test_a_process_that_ends_lets_everybody_go(pool):
    bell = WorkBell()
    (one,) = waiting(bell, pool, 1)
    bell.close()
    assert one.result(10) == 0
    assert bell.wait(0, LONG_SECONDS) == 0


def test_when_nothing_is_left_the_next_wave_is_not_called(pool):
    bell = WorkBell(has_work=lambda: False, sleep=lambda _seconds: None)
    everybody = waiting(bell, pool, 2 * FIRST_WAVE)
    bell.ring(1)
    until(lambda: sum(one.done() for one in everybody) == FIRST_WAVE, 10)
    until(lambda: bell._to_call == 0, 10)
    assert len(bell._waiting) == FIRST_WAVE
    bell.close()


def test_a_process_has_only_so_many_who_wait(pool, monkeypatch):
    monkeypatch.setattr("cloudx.services.chunks.work_bell.MAX_WAITING", 2)
    bell = WorkBell()
    waiting(bell, pool, 1)
    bell.require_room()
    waiting(bell, pool, 1)
    with pytest.raises(RateLimited, match="start another instance"):
        bell.require_room()
    bell.close()


def test_the_more_wait_the_longer_each_may_rest(pool):
    bell = WorkBell()
    assert bell.rest_seconds() == SHORTEST_REST_SECONDS
    waiting(bell, pool, 80)
    assert bell.rest_seconds() == 80 / LOOKS_PER_SECOND
    bell.close()


def test_a_notice_while_it_looks_for_work_is_not_lost(pool):
    def ring_again() -> bool:
        bell.ring(9)
        return False

    bell = WorkBell(has_work=ring_again, sleep=lambda _seconds: None)
    everybody = waiting(bell, pool, 2 * FIRST_WAVE)
    bell.ring(1)
    assert {one.result(10) for one in everybody} <= set(range(1, 100))
    bell.close()
