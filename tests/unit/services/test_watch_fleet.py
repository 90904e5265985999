"""The fleet's snapshot in memory."""

from datetime import UTC, datetime, timedelta

import pytest
from typing_extensions import override

from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.nodes import Node, NodeRole
from cloudx.services.fleet.join import HEARTBEAT
from cloudx.services.fleet.snapshot import FleetReading, take_snapshot
from cloudx.services.fleet.watch import FleetSource, FleetWatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(node_id: str, role: NodeRole = NodeRole.WORKER, silent_seconds: float = 0) -> Node:
    seen = NOW - timedelta(seconds=silent_seconds)
    return Node(node_id, node_id, "10.0.0.1", role, ("nmap",), "1", seen, seen)


class Source(FleetSource):
    """A fleet that can be changed and broken."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = nodes
        self.reads = 0
        self.broken: Exception | None = None

    @override
    def read(self) -> FleetReading:
        self.reads += 1
        if self.broken:
            raise self.broken
        return FleetReading(self.nodes, NOW, {"a": 2})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watch(source: Source) -> tuple[FleetWatch, Clock]:
    clock = Clock()
    return FleetWatch(source, clock), clock


def test_many_requests_within_a_second_read_the_fleet_once():
    source = Source(node("a"))
    fleet, _ = watch(source)
    for _ in range(50):
        fleet.current()
    assert source.reads == 1


def test_a_snapshot_older_than_a_second_is_taken_again():
    source = Source(node("a"))
    fleet, clock = watch(source)
    fleet.current()
    source.nodes, clock.now = (node("a"), node("b")), 101.0
    assert len(fleet.current().nodes) == 2


def test_a_nudge_makes_the_next_look_fresh():
    source = Source()
    fleet, _ = watch(source)
    fleet.current()
    source.nodes = (node("a"),)
    fleet.nudge()
    assert len(fleet.current().nodes) == 1


def test_a_node_shows_how_many_scans_it_runs():
    fleet, _ = watch(Source(node("a"), node("b")))
    assert [shown.scans_running for shown in fleet.current().nodes] == [2, 0]


@pytest.mark.parametrize("failure", [DependencyUnavailable("the database is away"), RuntimeError("a defect")])
def test_when_reading_fails_the_last_snapshot_stays_and_says_that_it_is_stale(failure):
    source = Source(node("a"))
    fleet, clock = watch(source)
    fleet.current()
    source.broken, clock.now = failure, clock.now + 2
    assert [(shown.node.node_id, shown.is_stale) for shown in fleet.current().nodes] == [("a", True)]
    assert (fleet.freshness().status, fleet.freshness().sources[HEARTBEAT].status) == ("error", "error")
    source.broken, clock.now = None, clock.now + 2
    assert (fleet.freshness().status, fleet.freshness().sources[HEARTBEAT].status) == ("active", "active")
    assert not fleet.current().nodes[0].is_stale


def test_before_the_first_snapshot_the_answer_is_an_error_that_can_be_retried():
    source = Source()
    source.broken = DependencyUnavailable("the database is away")
    fleet, _ = watch(source)
    with pytest.raises(DependencyUnavailable, match="the database is away"):
        fleet.current()


def test_an_empty_fleet_is_inactive_and_says_how_to_start_a_worker():
    fleet, _ = watch(Source())
    assert fleet.freshness().status == "inactive"
    assert "cloudx worker" in fleet.freshness().reason


def test_a_listener_is_called_with_each_new_snapshot():
    fleet, _ = watch(Source(node("a")))
    counted: list[int] = []
    fleet.on_refresh(lambda snapshot: counted.append(len(snapshot.nodes)))
    fleet.refresh()
    assert counted == [1]


def test_within_one_reading_a_node_that_did_not_change_is_the_same_object_and_a_problem_makes_every_node_stale():
    a, b = node("a"), node("b")
    first = take_snapshot(FleetReading((a, b), NOW), 1.0)
    joined = take_snapshot(FleetReading((a, node("b", NodeRole.PRIMARY)), NOW), 2.0, last=first)
    assert joined.nodes[0] is first.nodes[0] and joined.nodes[1] is not first.nodes[1]
    stale = first.with_problem("away")
    assert [shown.is_stale for shown in stale.nodes] == [True, True]
    assert all(shown.is_stale for shown in take_snapshot(FleetReading((a, b), NOW), 2.0, "away", stale).nodes)
    assert not any(shown.is_stale for shown in take_snapshot(FleetReading((a, b), NOW), 3.0, None, stale).nodes)
