"""Workers without work are called when there may be some, each exactly when it should be, a few at first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from cloudx.domain.errors import RateLimited
from cloudx.services.chunks.work_signal import (
    FIRST_WAVE,
    LOOKS_PER_SECOND,
    MAX_WAITING_OF_A_NODE,
    SHORTEST_REST_SECONDS,
    WorkSignal,
)
from rig.waiting import until

LONG_SECONDS = 60.0


@pytest.fixture
def pool():
    with ThreadPoolExecutor(100) as made:
        yield made


def waiting(signal: WorkSignal, pool: ThreadPoolExecutor, count: int, seen: int = 0) -> list[Future[int]]:
    """So many who wait by now."""
    before = len(signal._waiting)
    made = [pool.submit(signal.wait, seen, LONG_SECONDS) for _ in range(count)]
    until(lambda: len(signal._waiting) == before + count, 10)
    return made


def test_a_notice_calls_who_waits_and_tells_its_number(pool):
    signal = WorkSignal()
    one, other = waiting(signal, pool, 2)
    signal.notify(7)
    assert [one.result(10), other.result(10)] == [7, 7]


def test_what_came_between_two_waits_is_told_at_once():
    signal = WorkSignal()
    signal.notify(7)
    started = time.monotonic()
    assert signal.wait(6, LONG_SECONDS) == 7
    assert time.monotonic() - started < LONG_SECONDS / 2


def test_without_a_notice_the_number_stays():
    signal = WorkSignal()
    signal.notify(7)
    assert signal.wait(7, 0.01) == 7
    assert not signal._waiting


def test_who_has_heard_more_at_another_process_waits_for_the_next_notice(pool):
    """This process began to listen earlier or later than the other: the numbers are the database's time."""
    signal = WorkSignal()
    signal.notify(7)
    assert signal.wait(9, 0.01) == 9
    (one,) = waiting(signal, pool, 1, seen=9)
    signal.notify(10)
    assert one.result(10) == 10


def test_a_notice_that_was_overtaken_counts_too(pool):
    signal = WorkSignal()
    signal.notify(7)
    (one,) = waiting(signal, pool, 1, seen=7)
    signal.notify(6)
    assert one.result(10) > 7


def test_a_fleet_is_called_in_waves_and_nobody_is_forgotten(pool):
    called_by_then: list[int] = []
    signal = WorkSignal(sleep=lambda _seconds: called_by_then.append(80 - len(signal._waiting)))
    everybody = waiting(signal, pool, 80)
    signal.notify(1)
    assert [one.result(10) for one in everybody] == [1] * 80
    until(lambda: called_by_then[-1] == 80, 10)
    assert called_by_then[:3] == [FIRST_WAVE, 3 * FIRST_WAVE, 80]


def test_a_notice_during_the_waves_calls_those_who_came_in_between(pool):
    goes_on, waited = threading.Event(), list[bool]()
    signal = WorkSignal(sleep=lambda _seconds: waited.append(goes_on.wait(10)))
    early = waiting(signal, pool, FIRST_WAVE + 1)
    signal.notify(1)
    until(lambda: len(signal._waiting) == 1, 10)
    (late,) = waiting(signal, pool, 1, seen=1)
    signal.notify(2)
    goes_on.set()
    assert late.result(10) == 2
    assert {one.result(10) for one in early} <= {1, 2}


def test_a_process_that_ends_lets_everybody_go(pool):
    signal = WorkSignal()
    (one,) = waiting(signal, pool, 1)
    signal.close()
    assert one.result(10) == 0
    assert signal.wait(0, LONG_SECONDS) == 0


def test_when_nothing_is_left_the_next_wave_is_not_called(pool):
    signal = WorkSignal(has_work=lambda: False, sleep=lambda _seconds: None)
    everybody = waiting(signal, pool, 2 * FIRST_WAVE)
    signal.notify(1)
    until(lambda: sum(one.done() for one in everybody) == FIRST_WAVE, 10)
    until(lambda: signal._to_call == 0, 10)
    assert len(signal._waiting) == FIRST_WAVE
    signal.close()


def test_a_process_has_only_so_many_who_wait(monkeypatch):
    monkeypatch.setattr("cloudx.services.chunks.work_signal.MAX_WAITING", 2)
    signal = WorkSignal()
    signal.take_place(None)
    signal.take_place("a")
    with pytest.raises(RateLimited, match="start another instance"):
        signal.take_place("b")
    signal.leave_place("a")
    signal.take_place("b")


def test_a_credential_of_one_node_has_only_few_of_the_places():
    signal = WorkSignal()
    for _ in range(MAX_WAITING_OF_A_NODE):
        signal.take_place("stolen")
    with pytest.raises(RateLimited, match="several machines have its NODE_ID"):
        signal.take_place("stolen")
    signal.take_place("another")
    signal.take_place(None)
    signal.leave_place("stolen")
    signal.take_place("stolen")


def test_the_more_wait_the_longer_each_may_rest(pool):
    signal = WorkSignal()
    assert signal.news(0).rest_seconds == SHORTEST_REST_SECONDS
    waiting(signal, pool, 80)
    assert signal.news(0).rest_seconds == 80 / LOOKS_PER_SECOND
    signal.close()


def test_a_notice_while_it_looks_for_work_is_not_lost(pool):
    def notify_again() -> bool:
        signal.notify(9)
        return False

    signal = WorkSignal(has_work=notify_again, sleep=lambda _seconds: None)
    everybody = waiting(signal, pool, 2 * FIRST_WAVE)
    signal.notify(1)
    assert {one.result(10) for one in everybody} <= set(range(1, 100))
    signal.close()
