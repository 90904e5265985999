"""A scan's rate over the fleet and a node's over its scans, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, update

from cloudx.adapters.database.schema.tables import asking_workers, scan_nodes
from fixtures.ledgers import LONG_AGO, Desk

ALL_BUT_THE_RESERVE = 1_000 - 1_000 // 16  # of a node's limit of 1,000, which small scans may use


def test_a_scan_asked_faster_than_its_nodes_can_send_together_says_so(desk: Desk) -> None:
    desk.register("node-1", rate_limit_pps=2_000)
    desk.register("node-2", rate_limit_pps=1_000)
    scan = desk.submit("10.0.0.0/16", rate_pps=50_000)
    assert "at most 2,813 packets per second" in (desk.show(scan).waiting_reason or "")
    assert desk.show(desk.submit("10.0.0.0/16", rate_pps=2_800)).waiting_reason is None
    desk.run_to_end(scan)
    assert desk.show(scan).waiting_reason is None


def rate_of(desk: Desk, node: str, **more: Any) -> int:
    """What a node is granted for one more chunk; 0 when it must wait."""
    claim = desk.claim(f"worker-of-{node}", node, **more)
    return claim.lease.rate_pps if claim else 0


def forget(desk: Desk, node: str) -> None:
    """As if the node's last sign at any scan were long ago."""
    with desk.engine.begin() as connection:
        connection.execute(update(scan_nodes).where(scan_nodes.c.node_id == node).values(moved_at=LONG_AGO))
        connection.execute(delete(asking_workers).where(asking_workers.c.node_id == node))


def test_what_a_slow_node_cannot_send_of_a_scans_rate_is_sent_by_the_others(desk: Desk) -> None:
    for node, limit in (("a", 1_000), ("b", 4_000), ("c", 4_000)):
        desk.register_asking(node, rate_limit_pps=limit)
    desk.submit("10.0.0.0/12", rate_pps=7_000)
    assert [rate_of(desk, node) for node in "abc"] == [938, 3_031, 3_031]
    assert rate_of(desk, "b") == 0, "the rate is used up"


def test_shares_are_anew_at_each_chunk_as_workers_come_and_go(desk: Desk) -> None:
    desk.register_asking("a")
    desk.register_asking("b")
    desk.submit("10.0.0.0/14", rate_pps=900)
    first = desk.must_claim("wa", "a")
    assert first.lease.rate_pps == 450
    desk.register_asking("c")
    desk.complete(first)
    second = desk.must_claim("wa", "a")
    assert second.lease.rate_pps == 300
    desk.complete(second)
    forget(desk, "b")
    forget(desk, "c")
    assert desk.must_claim("wa", "a").lease.rate_pps == 900


def test_a_nodes_limit_holds_over_all_its_scans_and_the_lower_priority_takes_what_is_left(desk: Desk) -> None:
    desk.register_asking("n", rate_limit_pps=1_000)
    low = desk.submit("10.0.0.0/14", rate_pps=1_000, priority=1)
    high = desk.submit("10.4.0.0/14", rate_pps=600, priority=5)
    first, second = desk.must_claim("w", "n"), desk.must_claim("w", "n")
    assert (first.scan.id, first.lease.rate_pps) == (high.id, 600)
    assert (second.scan.id, second.lease.rate_pps) == (low.id, 338)
    assert desk.claim("w", "n") is None
    desk.complete(second)
    assert desk.must_claim("w", "n").lease.rate_pps == 338
    desk.complete(first)
    again = desk.must_claim("w", "n")
    assert (again.scan.id, again.lease.rate_pps) == (high.id, 600)


def test_a_worker_of_one_scan_leaves_its_node_to_a_scan_of_higher_priority_that_waits_there(desk: Desk) -> None:
    desk.register("n", rate_limit_pps=1_000)
    low = desk.submit("10.0.0.0/14", rate_pps=1_000, priority=1)
    of_low = desk.must_claim("low", "n", only_scan=low.id)
    assert of_low.lease.rate_pps == ALL_BUT_THE_RESERVE
    high = desk.submit("10.4.0.0/14", rate_pps=1_000, priority=5)
    assert desk.claim("high", "n", only_scan=high.id) is None, "what runs is not taken back"
    desk.complete(of_low)
    assert desk.claim("low", "n", only_scan=low.id) is None, "the other is waiting"
    of_high = desk.must_claim("high", "n", only_scan=high.id)
    assert of_high.lease.rate_pps == ALL_BUT_THE_RESERVE
    desk.complete(of_high)
    assert desk.claim("low", "n", only_scan=low.id) is None
    forget(desk, "n")
    assert desk.must_claim("low", "n", only_scan=low.id).lease.rate_pps == ALL_BUT_THE_RESERVE


def test_workers_of_scans_of_one_priority_do_not_wait_for_each_other(desk: Desk) -> None:
    desk.register("n", rate_limit_pps=1_000)
    scan = desk.submit("10.0.0.0/14", rate_pps=500)
    other = desk.submit("10.4.0.0/14", rate_pps=500)
    assert desk.must_claim("w2", "n", only_scan=other.id).lease.rate_pps == 500
    assert desk.must_claim("w1", "n", only_scan=scan.id).lease.rate_pps == 438
