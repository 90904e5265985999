"""The list of nodes, from a snapshot to bytes."""

import gzip
import json
from datetime import UTC, datetime, timedelta

from cloudx.api.present_nodes import NodeLists
from cloudx.domain.nodes import Node, NodeRole, NodeStatus
from cloudx.services.fleet.snapshot import FleetReading, FleetSnapshot, take_snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(node_id: str, role: NodeRole = NodeRole.WORKER, silent_seconds: float = 0) -> Node:
    seen = NOW - timedelta(seconds=silent_seconds)
    return Node(node_id, node_id, "10.0.0.1", role, ("nmap",), "1", seen, seen)


def snapshot(*nodes: Node, last: FleetSnapshot | None = None) -> FleetSnapshot:
    return take_snapshot(FleetReading(nodes, NOW, {"a": 2}), 0.0, last=last)


def test_the_same_fleet_keeps_its_etag_and_another_gets_a_new_one():
    lists = NodeLists()
    first = lists.of(snapshot(node("a")))
    assert lists.of(snapshot(node("a"))).etag == first.etag
    assert lists.of(snapshot(node("b"))).etag != first.etag


def test_a_list_is_encoded_once_for_one_snapshot():
    lists, fleet = NodeLists(), snapshot(node("a"))
    assert lists.of(fleet) is lists.of(fleet)
    assert lists.of(fleet, NodeStatus.HEALTHY) is not lists.of(fleet)


def test_the_compressed_body_is_the_plain_one_under_an_etag_of_its_own():
    encoded = NodeLists().of(snapshot(node("a")))
    assert gzip.decompress(encoded.gzipped) == encoded.body
    assert encoded.gzipped_etag != encoded.etag


def test_filters_choose_from_the_same_snapshot():
    lists, fleet = NodeLists(), snapshot(node("a"), node("b", NodeRole.PRIMARY), node("c", silent_seconds=60))

    def chosen(status: NodeStatus | None = None, role: NodeRole | None = None) -> list[str]:
        return [shown["node_id"] for shown in json.loads(lists.of(fleet, status, role).body)]

    assert chosen() == ["a", "b", "c"]
    assert chosen(NodeStatus.HEALTHY) == ["a", "b"]
    assert chosen(NodeStatus.OFFLINE) == ["c"]
    assert chosen(None, NodeRole.PRIMARY) == ["b"]
    assert chosen(NodeStatus.OFFLINE, NodeRole.PRIMARY) == []


def test_a_change_of_one_node_is_shown_and_the_others_are_as_they_were():
    lists, a = NodeLists(), node("a")
    first = snapshot(a, node("b"))
    before = json.loads(lists.of(first).body)
    after = json.loads(lists.of(snapshot(a, node("b", NodeRole.PRIMARY), last=first)).body)
    assert after == [before[0], before[1] | {"role": "primary"}]


def test_a_fleet_without_nodes_is_an_empty_list():
    assert NodeLists().of(snapshot()).body == b"[]"
