"""Of an API's processes one asks Consul and Nomad; the others hear what it hears, and one of them asks when it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess
from typing import Any

import pytest

from cloudx.adapters.machine.shared_query import SharedAnswer, SharedQuery
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.fleet.ports import Answer
from rig.waiting import until

FORK = multiprocessing.get_context("fork")
WAIT_SECONDS = 0.2


class Server:
    """Counts who asks; its answer is changed by the test."""

    def __init__(self) -> None:
        self.index = FORK.Value("q", 1)
        self.is_away = FORK.Value("b", 0)
        self.asked_by = FORK.Array("q", 1000)
        self.asked = FORK.Value("q", 0)

    def __call__(self, index: int, wait_seconds: float) -> Answer[str]:
        with self.asked.get_lock():
            self.asked_by[self.asked.value % 1000] = os.getpid()
            self.asked.value += 1
        if self.is_away.value:
            raise DependencyUnavailable("Consul does not answer: it is away.")
        waited = threading.Event()
        for _ in range(int(wait_seconds / 0.01)):
            if self.index.value != index:
                break
            waited.wait(0.01)
        now = self.index.value
        return Answer(now, lambda: f"value {now} " + "x" * 100_000 * (now % 3))


def follow(server: Server, shared: SharedAnswer, pipe: Any) -> None:
    """A process of the API: tells each thing that it hears."""
    query, index = SharedQuery(server, shared), 0
    while True:
        try:
            answer = query(index, WAIT_SECONDS)
            index = answer.index
            pipe.send((index, answer.load().partition(" x")[0].strip("x ")))
        except DependencyUnavailable as error:
            pipe.send((0, error.message))


class Process:
    """One that was forked after the memory was made."""

    def __init__(self, server: Server, shared: SharedAnswer) -> None:
        self.hears, tells = FORK.Pipe(duplex=False)
        self.process: ForkProcess = FORK.Process(target=follow, args=(server, shared, tells), daemon=True)
        self.process.start()
        self.last: Any = None

    def heard(self) -> Any:
        """The last thing that it heard."""
        while self.hears.poll():
            self.last = self.hears.recv()
        return self.last


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def processes(server: Server) -> Iterator[list[Process]]:
    shared = SharedAnswer("test")
    made = [Process(server, shared) for _ in range(4)]
    yield made
    for one in made:
        one.process.kill()
        one.process.join(10)


def all_heard(processes: list[Process], what: Any) -> Callable[[], bool]:
    return lambda: all(one.heard() == what for one in processes)


def askers(server: Server) -> set[int]:
    return {pid for pid in server.asked_by[:] if pid}


def test_one_asks_and_all_hear_each_change(server, processes):
    for index in (1, 2, 3, 4):
        server.index.value = index
        until(all_heard(processes, (index, f"value {index}")), 20)
    assert len(askers(server)) == 1


def test_when_the_one_that_asks_dies_another_asks(server, processes):
    until(all_heard(processes, (1, "value 1")), 20)
    (asker,) = askers(server)
    os.kill(asker, signal.SIGKILL)
    left = [one for one in processes if one.process.pid != asker]
    server.index.value = 2
    until(all_heard(left, (2, "value 2")), 20)
    assert len(askers(server)) == 2


def test_all_hear_of_an_outage_and_of_its_end(server, processes):
    until(all_heard(processes, (1, "value 1")), 20)
    server.is_away.value = 1
    until(all_heard(processes, (0, "Consul does not answer: it is away.")), 20)
    server.is_away.value = 0
    until(all_heard(processes, (1, "value 1")), 20)


def test_a_process_that_hears_nothing_says_so(monkeypatch):
    monkeypatch.setattr("cloudx.adapters.machine.shared_query.SILENCE_SECONDS", 0.1)
    shared = SharedAnswer("test")
    holder = FORK.Process(target=lambda: shared.is_mine() and threading.Event().wait(30), daemon=True)
    holder.start()
    try:
        until(lambda: not another_may_ask(shared), 10)
        with pytest.raises(DependencyUnavailable, match="says nothing"):
            SharedQuery(Server(), shared)(0, 0.1)
    finally:
        holder.kill()
        holder.join(10)


def another_may_ask(shared: SharedAnswer) -> bool:
    """Whether another process could take the lock now."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if shared.is_mine() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
