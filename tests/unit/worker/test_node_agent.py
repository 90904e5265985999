"""When a node agent registers, when it only beats, and what it says of itself when nobody listens."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable

import pytest
from typing_extensions import override

from cloudx.domain.errors import DependencyUnavailable, NodeNotRegistered
from cloudx.domain.nodes import CheckStatus, Heartbeat, NodeRole, NodeStatus, Preflight, Registration
from cloudx.services.fleet.ports import NodeReporter
from cloudx.worker import node_agent
from cloudx.worker.node_agent import NodeAgent, NodeIdentity

IDENTITY = NodeIdentity("vps1", NodeRole.WORKER, "1.2")
WELL = Preflight(capabilities=("nmap", "raw_socket"), checks=())
WITHOUT_NMAP = Preflight(capabilities=("raw_socket",), checks=())


class Primary(NodeReporter):
    """The other side: notes what it is told; `answers` are raised in turn, None being consent."""

    def __init__(self, stopping: threading.Event, beats: int, answers: dict[int, Exception] | None = None) -> None:
        self.registered: list[Registration] = []
        self.beats: list[Heartbeat] = []
        self.next_seconds = 5.0
        self._stopping, self._until, self._answers = stopping, beats, answers or {}

    @override
    def register(self, registration: Registration) -> None:
        self.registered.append(registration)

    @override
    def beat(self, heartbeat: Heartbeat) -> float:
        self.beats.append(heartbeat)
        if len(self.beats) >= self._until:
            self._stopping.set()
        if answer := self._answers.get(len(self.beats)):
            raise answer
        return self.next_seconds


def run(look: Callable[[], Preflight], monkeypatch, beats: int, answers: dict[int, Exception] | None = None) -> Primary:
    monkeypatch.setattr(node_agent, "seconds_to_next_beat", lambda _failures, _told: 0.0)
    monkeypatch.setattr(node_agent, "RETRY_SECONDS", 0.0)
    stopping = threading.Event()
    primary = Primary(stopping, beats, answers)
    NodeAgent(IDENTITY, look, primary).run_until(stopping)
    return primary


def test_it_registers_once_beats_on_and_says_goodbye(monkeypatch):
    primary = run(lambda: WELL, monkeypatch, beats=3)
    assert len(primary.registered) == 1
    assert [beat.status for beat in primary.beats] == [NodeStatus.HEALTHY] * 3 + [NodeStatus.OFFLINE]


def test_it_registers_again_when_it_was_forgotten(monkeypatch):
    primary = run(lambda: WELL, monkeypatch, beats=4, answers={2: NodeNotRegistered("who?")})
    assert len(primary.registered) == 2


def test_it_registers_again_when_the_machine_has_changed(monkeypatch):
    looks = iter([WELL, WELL, WITHOUT_NMAP, WITHOUT_NMAP, WITHOUT_NMAP])
    primary = run(lambda: next(looks), monkeypatch, beats=4)
    assert [said.capabilities for said in primary.registered] == [WELL.capabilities, WITHOUT_NMAP.capabilities]


def test_an_outage_of_the_primary_is_survived_without_registering_anew(monkeypatch):
    primary = run(lambda: WELL, monkeypatch, beats=5, answers={2: DependencyUnavailable("away")})
    assert len(primary.registered) == 1 and len(primary.beats) >= 5


class PassingTime(threading.Event):
    """Time that only waiting passes; keeps how long each wait was, and is set at the end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, until: float = math.inf) -> None:
        super().__init__()
        self.seconds: list[float | None] = []
        self.now = 0.0
        self._until = until
        monkeypatch.setattr("cloudx.worker.node_agent.time.monotonic", lambda: 1000.0 + self.now)

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        self.now += timeout or 0.0
        return self.is_set() or self.now >= self._until


def test_a_beat_that_failed_is_tried_again_soon_and_during_an_outage_at_the_usual_pace(monkeypatch):
    pauses = PassingTime(monkeypatch)
    away: dict[int, Exception] = dict.fromkeys((2, 3, 4, 5, 7), DependencyUnavailable("away"))
    NodeAgent(IDENTITY, lambda: WELL, Primary(pauses, beats=8, answers=away)).run_until(pauses)
    assert pauses.seconds == [5, 1, 2, 5, 5, 5, 1, 5]


def test_a_node_that_nobody_knows_yet_tries_every_second(monkeypatch):
    pauses = PassingTime(monkeypatch)
    primary = Primary(pauses, beats=5, answers={2: NodeNotRegistered("who?"), 3: NodeNotRegistered("who?")})
    NodeAgent(IDENTITY, lambda: WELL, primary).run_until(pauses)
    assert pauses.seconds == [5, 1, 1, 5, 5]


def test_in_a_large_fleet_it_beats_when_it_is_told_to_and_says_at_once_that_the_machine_has_changed(monkeypatch):
    clock = PassingTime(monkeypatch, until=300.0)
    primary, times = Primary(clock, beats=1000), []
    primary.next_seconds = 60.0

    def look() -> Preflight:
        times.append(clock.now)
        return WITHOUT_NMAP if 100 <= clock.now < 200 else WELL

    NodeAgent(IDENTITY, look, primary).run_until(clock)
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 5.0, "it looks as often as ever"
    assert [len(said.capabilities) for said in primary.registered] == [2, 1, 2]
    assert 6 <= len(primary.beats) <= 10, "each 48 to 60 s, at two changes, and its goodbye"


def test_a_node_that_was_told_to_wait_a_minute_is_not_silent_within_it(monkeypatch):
    clock = PassingTime(monkeypatch, until=6.0)
    primary = Primary(clock, beats=1000)
    primary.next_seconds = 60.0
    agent = NodeAgent(IDENTITY, lambda: WELL, primary)
    agent.run_until(clock)
    clock.now += 64.0
    assert agent.check().status is CheckStatus.PASSING
    clock.now += 2.0
    assert agent.check().status is CheckStatus.CRITICAL


def test_heartbeats_that_nobody_takes_are_a_critical_check_with_the_reason(monkeypatch):
    stopping = threading.Event()
    silent = Primary(stopping, beats=1, answers={1: DependencyUnavailable("it is away")})
    agent = NodeAgent(IDENTITY, lambda: WELL, silent)
    assert agent.check().status is CheckStatus.PASSING, "a start is given its time"
    agent.run_until(stopping)
    moment = time.monotonic() + 60
    monkeypatch.setattr("cloudx.worker.node_agent.time.monotonic", lambda: moment)
    check = agent.check()
    assert check.status is CheckStatus.CRITICAL and "it is away" in check.output
