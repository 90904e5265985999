"""Each change of a node's status is told once, by one of the processes that see it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from cloudx.domain.nodes import Node, NodeRole, NodeStatus
from cloudx.services.events.tell_nodes import HELD_SECONDS, KEEP_SECONDS, SETTLE_SECONDS, TellNodes
from cloudx.services.fleet.snapshot import FleetNode, FleetReading, FleetSnapshot
from cloudx.services.ledger.ledger import OpenLedger
from contract.test_concurrent_workers import run_at_once

AT = datetime(2026, 3, 4, tzinfo=UTC)
HEALTHY, OFFLINE, CRITICAL = NodeStatus.HEALTHY, NodeStatus.OFFLINE, NodeStatus.CRITICAL


class Process:
    """One process of the API: the fleet as it sees it, and a clock that the test moves."""

    def __init__(self, open_ledger: OpenLedger, **fleet: NodeStatus) -> None:
        self.fleet = fleet
        self.problem: str | None = None
        self.now = 0.0
        self.tell = TellNodes(open_ledger, self.snapshot, lambda: self.now)

    def snapshot(self) -> FleetSnapshot:
        nodes = tuple(FleetNode(_node(name), status, False, 0) for name, status in self.fleet.items())
        return FleetSnapshot(FleetReading((), AT), nodes, 0.0, self.problem)

    def settle(self) -> None:
        self.now += SETTLE_SECONDS


def _node(name: str) -> Node:
    return Node(name, name, "10.0.0.1", NodeRole.WORKER, (), "", registered_at=AT, last_seen=AT)


@pytest.fixture
def told(open_ledger: OpenLedger):
    """What the events have told of nodes since the last call: (node, before, now)."""
    position = 0

    def since() -> list[tuple[str | None, str | None, str]]:
        nonlocal position
        with open_ledger(read_only=True) as ledger:
            page = ledger.events.page(position, 1000)
        position = page.upto
        return [(each.node_id, each.detail, each.state) for each in page.events if each.type == "node"]

    since()
    return since


def holder_died(engine: Engine) -> None:
    """Some seconds ago."""
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE duties SET until = '2001-01-01 00:00:00.000000'")


def test_a_node_is_told_when_it_comes_when_it_changes_and_when_it_is_gone(open_ledger, told):
    process = Process(open_ledger, a=HEALTHY, b=HEALTHY)
    process.tell()
    process.settle()
    process.fleet["a"] = CRITICAL
    process.tell()
    process.tell()
    del process.fleet["b"]
    process.tell()
    assert told() == [
        ("a", None, "healthy"),
        ("b", None, "healthy"),
        ("a", "healthy", "critical"),
        ("b", "healthy", "gone"),
    ]


def test_the_duty_is_one_processs_and_the_others_tell_nothing(open_ledger, told):
    first, second = Process(open_ledger, a=HEALTHY), Process(open_ledger, a=CRITICAL)
    first.tell()
    for _ in range(3):
        second.now += KEEP_SECONDS
        second.tell()
    assert told() == [("a", None, "healthy")]


def test_after_the_holder_died_another_process_tells_what_changed_meanwhile(open_ledger, told, engine):
    first, second = Process(open_ledger, a=HEALTHY), Process(open_ledger, a=OFFLINE)
    first.tell()
    second.settle()
    second.tell()
    assert told() == [("a", None, "healthy")]
    holder_died(engine)
    second.now += HELD_SECONDS
    second.tell()
    first.fleet["a"] = CRITICAL
    first.tell()
    first.tell()
    assert told() == [("a", "healthy", "offline")]


def test_a_process_that_has_just_started_takes_no_node_for_lost(open_ledger, told, engine):
    Process(open_ledger, a=HEALTHY, b=HEALTHY).tell()
    told()
    holder_died(engine)
    fresh = Process(open_ledger, a=OFFLINE)
    fresh.tell()
    assert told() == []
    fresh.settle()
    fresh.tell()
    assert told() == [("a", "healthy", "offline"), ("b", "healthy", "gone")]


def test_a_stale_view_tells_nothing(open_ledger, told):
    process = Process(open_ledger, a=HEALTHY)
    process.tell()
    process.fleet["a"], process.problem = CRITICAL, "the database was away"
    process.tell()
    assert told() == [("a", None, "healthy")]


def test_many_processes_at_once_tell_a_change_once(open_ledger, told):
    run_at_once(*(Process(open_ledger, a=HEALTHY, b=CRITICAL).tell for _ in range(8)))
    assert sorted(told()) == [("a", None, "healthy"), ("b", None, "critical")]
