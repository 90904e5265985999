"""A process that reads what has changed of the fleet knows the same fleet as one that reads it whole."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudx.domain.nodes import Heartbeat, NodeStatus
from cloudx.services.fleet.read_changes import LedgerFleet
from cloudx.services.fleet.report import beat_node
from fixtures.ledgers import Desk

NODES = ["a", "b", "c", "d"]
WHAT = st.sampled_from(["register", "beat", "forget", "read"])
EVENTS = st.lists(st.tuples(WHAT, st.sampled_from(NODES)), max_size=12)


def happen(desk: Desk, fleet: LedgerFleet, what: str, node_id: str, turn: int) -> None:
    """One event of a fleet's life."""
    known = {node.node_id for node in LedgerFleet(desk.open_ledger).read().nodes}
    if what == "register":
        desk.register(node_id, rate_limit_pps=1_000 + turn)
    elif what == "beat" and node_id in known:
        beat_node(desk.open_ledger, Heartbeat(node_id, NodeStatus.HEALTHY, turn, 1.0, (), datetime.now(UTC)))
    elif what == "forget" and node_id in known:
        with desk.open_ledger() as ledger:
            ledger.nodes.delete(node_id)
            ledger.commit()
    elif what == "read":
        fleet.read()


@given(EVENTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_reading_of_changes_is_the_whole_fleet(desk: Desk, events: list[tuple[str, str]]) -> None:
    fleet = LedgerFleet(desk.open_ledger)
    fleet.read()
    for turn, (what, node_id) in enumerate(events):
        happen(desk, fleet, what, node_id, turn)
    assert fleet.read().nodes == LedgerFleet(desk.open_ledger).read().nodes


def test_a_fleet_that_beats_slowly_is_read_by_its_changes_alone(desk: Desk) -> None:
    for node_id in NODES:
        desk.register(node_id)
    fleet = LedgerFleet(desk.open_ledger)
    before = fleet.read()
    with desk.engine.begin() as connection:  # they registered an hour ago
        connection.exec_driver_sql("UPDATE nodes SET last_seen = '2026-01-01 00:00:00+00'")
    beat_node(desk.open_ledger, Heartbeat("b", NodeStatus.HEALTHY, 50.0, 1.0, (), datetime.now(UTC)))
    after = fleet.read()
    same = [old is new for old, new in zip(before.nodes, after.nodes, strict=True)]
    assert [node.node_id for node, is_same in zip(after.nodes, same, strict=True) if not is_same] == ["b"]
    assert after.by_id["b"].cpu == 50.0
