"""A scan's rate over the fleet and a node's over its scans, on SQLite and on PostgreSQL."""

from __future__ import annotations

from fixtures.ledgers import Desk


def test_a_scan_asked_faster_than_its_nodes_can_send_together_says_so(desk: Desk) -> None:
    desk.register("node-1", rate_limit_pps=2_000)
    desk.register("node-2", rate_limit_pps=1_000)
    scan = desk.submit("10.0.0.0/16", rate_pps=50_000)
    assert "at most 3,000 packets per second" in (desk.show(scan).waiting_reason or "")
    assert desk.show(desk.submit("10.0.0.0/16", rate_pps=3_000)).waiting_reason is None
    desk.run_to_end(scan)
    assert desk.show(scan).waiting_reason is None
