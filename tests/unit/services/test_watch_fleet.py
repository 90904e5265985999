"""The fleet's view in memory."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.nodes import Node, NodeRole
from cloudx.services.fleet.watch import FleetReading, FleetWatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(node_id: str, role: NodeRole = NodeRole.WORKER, silent_seconds: float = 0) -> Node:
    seen = NOW - timedelta(seconds=silent_seconds)
    return Node(node_id, node_id, "10.0.0.1", role, ("nmap",), "1", seen, seen)


class Source:
    """A fleet that can be changed and broken."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = nodes
        self.reads = 0
        self.broken: Exception | None = None

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


def encode(value: object) -> bytes:
    return json.dumps(value, default=str).encode()


def watch(source: Source) -> tuple[FleetWatch, Clock]:
    clock = Clock()
    return FleetWatch(source, encode, clock), clock


def test_many_requests_within_a_second_read_the_fleet_once():
    source = Source(node("a"))
    fleet, _ = watch(source)
    for _ in range(50):
        fleet.current().encoded()
    assert source.reads == 1


def test_a_view_older_than_a_second_is_read_anew():
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


def test_the_same_fleet_keeps_its_etag_and_another_gets_a_new_one():
    source = Source(node("a"))
    fleet, clock = watch(source)
    first = fleet.current().encoded()
    clock.now += 2
    assert fleet.current().encoded().etag == first.etag
    source.nodes, clock.now = (node("b"),), clock.now + 2
    assert fleet.current().encoded().etag != first.etag


def test_the_compressed_body_is_the_plain_one_under_an_etag_of_its_own():
    fleet, _ = watch(Source(node("a")))
    encoded = fleet.current().encoded()
    assert gzip.decompress(encoded.gzipped) == encoded.body
    assert encoded.gzipped_etag != encoded.etag


def test_filters_choose_from_the_same_view():
    source = Source(node("a"), node("b", NodeRole.PRIMARY), node("c", silent_seconds=60))
    fleet, _ = watch(source)

    def chosen(*filters: str | None) -> list[str]:
        return [n["node_id"] for n in json.loads(fleet.current().encoded(*filters).body)]

    assert chosen("healthy") == ["a", "b"]
    assert chosen("offline") == ["c"]
    assert chosen(None, "primary") == ["b"]
    assert chosen("offline", "primary") == []
    assert source.reads == 1


def test_a_node_shows_how_many_scans_it_runs():
    fleet, _ = watch(Source(node("a"), node("b")))
    assert [n["scans_running"] for n in fleet.current().nodes] == [2, 0]


@pytest.mark.parametrize("failure", [DependencyUnavailable("the database is away"), RuntimeError("a defect")])
def test_when_reading_fails_the_last_view_stays_and_says_that_it_is_stale(failure):
    source = Source(node("a"))
    fleet, clock = watch(source)
    fleet.current()
    source.broken, clock.now = failure, clock.now + 2
    assert [(n["node_id"], n["stale"]) for n in fleet.current().nodes] == [("a", True)]
    assert fleet.freshness()[0] == "error"
    source.broken, clock.now = None, clock.now + 2
    assert fleet.freshness()[0] == "active"


def test_before_the_first_view_the_answer_is_an_error_that_can_be_retried():
    source = Source()
    source.broken = DependencyUnavailable("the database is away")
    fleet, _ = watch(source)
    with pytest.raises(DependencyUnavailable, match="the database is away"):
        fleet.current()


def test_an_empty_fleet_is_inactive_and_says_how_to_start_a_worker():
    fleet, _ = watch(Source())
    assert fleet.freshness()[0] == "inactive"
    assert "cloudx worker" in fleet.freshness()[1]


def test_whoever_listens_is_told_of_each_new_view():
    fleet, _ = watch(Source(node("a")))
    told: list[int] = []
    fleet.on_refresh(lambda snapshot: told.append(len(snapshot.nodes)))
    fleet.refresh()
    assert told == [1]
