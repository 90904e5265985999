"""This machine's history: what stands out, its order, and that all of gunicorn's workers show the same one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import psutil
import pytest

from cloudx.adapters.machine.host_history import (
    FIGURES,
    KEPT_SAMPLES,
    SAMPLE_SECONDS,
    SharedHostHistory,
    _SharedRing,
    is_spike,
)
from cloudx.services.fleet.ports import HostSample
from rig.waiting import until


def test_a_value_far_over_the_others_is_a_spike():
    assert is_spike(90.0, [5.0, 6.0, 5.5, 5.0, 6.0])


@pytest.mark.parametrize("value", [5.0, 12.0, 0.0])
def test_the_flicker_of_an_idle_machine_is_none(value):
    assert not is_spike(value, [5.0, 6.0, 5.5, 5.0, 6.0])


def test_with_hardly_anything_to_compare_nothing_is_a_spike():
    assert not is_spike(100.0, [1.0, 1.0])


def test_samples_are_in_percent_newest_first_and_there_is_one_from_the_start():
    history = SharedHostHistory()
    assert len(history.samples()) == 1
    for _ in range(3):
        history.sample()
    samples = history.samples()
    assert all(sample.percent.keys() == set(FIGURES) for sample in samples)
    assert all(0 <= value <= 100 for sample in samples for value in sample.percent.values())
    moments = [sample.unix_ms for sample in samples]
    assert len(moments) == 4 and moments == sorted(moments, reverse=True)


def test_the_newest_five_minutes_are_kept_as_they_were_written():
    ring = _SharedRing()
    written = [
        HostSample(number, dict.fromkeys(FIGURES, number / 10), frozenset(["cpu"] if number % 7 == 0 else []))
        for number in range(2 * KEPT_SAMPLES + 3)
    ]
    for sample in written:
        ring.append(sample)
    assert ring.newest_first() == written[: -KEPT_SAMPLES - 1 : -1]


def test_of_two_processes_one_writes_and_both_read():
    history = SharedHostHistory()
    assert history._ring.is_mine()
    child = os.fork()
    if child == 0:
        os._exit(int(history._ring.is_mine()))  # no assert: pytest lives in the parent alone
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    child = os.fork()
    if child == 0:
        history.sample()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(history.samples()) == 2


def workers(api) -> list[psutil.Process]:
    return [child for child in api.master.children() if child.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """A worker that is stopped takes no request, so the other one answers."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def cpu_history(api) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = api.get("/api/system-monitor").json()["cpu"]
    return history


def test_both_workers_show_one_history_that_one_of_them_samples(new_gunicorn):
    api = new_gunicorn(WEB_CONCURRENCY="2")
    until(lambda: len(workers(api)) == 2, 10)
    until(lambda: len(cpu_history(api)) >= 4, 30)
    one, other = workers(api)
    with stopped(other):
        of_one = cpu_history(api)
    with stopped(one):
        of_other = cpu_history(api)
    assert of_other[-len(of_one) :] == of_one, "what one shows, the other shows too, with what came since before it"
    gaps = [newer["timestamp"] - older["timestamp"] for newer, older in pairwise(of_other)]
    assert min(gaps) > SAMPLE_SECONDS * 500, "two that sample would take twice as many"


def replaced(api, victim) -> bool:
    return victim not in workers(api) and len(workers(api)) == 2


def longer_than(api, samples: int) -> bool:
    return len(cpu_history(api)) > samples


def test_when_the_worker_that_samples_is_killed_another_goes_on_with_the_same_history(new_gunicorn):
    api = new_gunicorn(WEB_CONCURRENCY="2")
    until(lambda: len(workers(api)) == 2, 10)
    until(lambda: len(cpu_history(api)) >= 2, 30)
    first = cpu_history(api)[-1]
    for victim in workers(api):  # one of the two samples
        victim.kill()
        until(partial(replaced, api, victim), 10)
        before = len(cpu_history(api))
        until(partial(longer_than, api, before + 1), 30)
    assert cpu_history(api)[-1] == first
