"""What nmap's scans are granted without a rate, and how slow ones are cut: on SQLite and on PostgreSQL."""

from __future__ import annotations

from cloudx.domain.findings import HostFinding
from cloudx.domain.planning.durations import run_seconds
from cloudx.services.chunks.claim import Claim
from cloudx.worker.run_times import limit_seconds
from fixtures.ledgers import SEEN_AT, Desk, found


def test_an_nmap_scan_without_a_rate_is_granted_of_each_nodes_limit_and_leaves_a_share_of_it(desk: Desk) -> None:
    for node in "ab":
        desk.register_asking(node, rate_limit_pps=1_000)
    scan = desk.submit("10.0.0.0/20", tool="nmap")
    assert scan.asked_rate_pps is None
    for node in "ab":
        assert [desk.must_claim(f"w{node}", node).lease.rate_pps for _ in range(4)] == [200] * 4
    assert desk.show(scan).waiting_reason is None


def test_eight_nodes_send_eight_times_what_one_sends(desk: Desk) -> None:
    nodes = [f"n{number}" for number in range(8)]
    for node in nodes:
        desk.register_asking(node, rate_limit_pps=500)
    desk.submit("10.0.0.0/16", tool="nmap")
    granted = [sum(desk.must_claim(f"w{node}", node).lease.rate_pps for _ in range(4)) for node in nodes]
    assert granted == [400] * 8


def test_a_scan_that_comes_later_runs_beside_one_without_a_rate(desk: Desk) -> None:
    desk.register_asking("n", rate_limit_pps=100_000)
    first = desk.submit("10.0.0.1", tool="nmap")
    assert desk.must_claim("w", "n").lease.rate_pps == 50_000
    second = desk.submit("10.0.0.2", tool="nmap")
    third = desk.submit("10.0.0.0/24", rate_pps=1_000)
    claims = [desk.must_claim("w", "n"), desk.must_claim("w", "n")]
    assert {(claim.scan.id, claim.lease.rate_pps) for claim in claims} == {(second.id, 25_000), (third.id, 1_000)}
    assert first.id not in {claim.scan.id for claim in claims}


def test_a_udp_scan_has_one_run_at_a_time_on_a_node(desk: Desk) -> None:
    desk.register_asking("n", rate_limit_pps=100_000)
    desk.register_asking("m", rate_limit_pps=100_000)
    desk.submit("10.0.0.0/22", tool="nmap", scan_type="udp")
    first = desk.must_claim("w", "n")
    assert desk.claim("w", "n") is None, "hosts behind one limiter would take each other's answers"
    desk.must_claim("w", "m")
    desk.complete(first)
    desk.must_claim("w", "n")


def test_one_host_whose_ports_take_hours_is_cut_by_ports_and_each_of_its_probes_counts_once(desk: Desk) -> None:
    scan = desk.submit("10.0.0.7", tool="nmap", ports="1-4000", rate_pps=3)
    assert scan.splits_ports
    claims: list[Claim] = []
    while claim := desk.claim("w", "node-1"):
        assert claim.ports is not None
        assert claim.ports.size == claim.units
        first_port = claim.ports.ranges[0][0]
        host = HostFinding("10.0.0.7", "up", SEEN_AT, os_name="Linux" if not claims else None)
        desk.complete(claim, host, found("10.0.0.7", first_port))
        claims.append(claim)
    assert len(claims) > 1
    view = desk.show(scan)
    assert (view.coverage.planned, view.coverage.completed, view.coverage.failed) == (4000, 4000, 0)
    assert desk.count("findings") == len(claims)
    with desk.open_ledger(read_only=True) as ledger:
        hosts = ledger.findings.hosts(scan.id, None, 10)
    assert [(host.ip, host.os_name) for host in hosts] == [("10.0.0.7", "Linux")]


def test_a_run_may_take_several_times_as_long_as_it_is_planned_to(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", tool="nmap", ports="1-65535", rate_pps=200)
    claim = desk.must_claim("w", "node-1")
    planned = run_seconds(claim.scan.type, claim.addresses.size, 65_535, claim.lease.rate_pps)
    assert planned <= 4 * 3600, "case 07: eight hours were one chunk"
    assert limit_seconds(claim) >= max(4 * 3600, 3 * planned)


def test_a_slow_run_that_cannot_be_cut_gets_a_limit_to_match(desk: Desk) -> None:
    desk.submit("10.0.0.7", tool="nmap", scan_type="udp", ports="1-65535")
    claim = desk.must_claim("w", "node-1")
    assert limit_seconds(claim) > 2 * 65_535, "the kernel of the target tells of one closed port a second"


def test_a_host_whose_ports_take_hours_at_what_the_nodes_can_send_is_cut_by_ports_whatever_was_asked_for(
    desk: Desk,
) -> None:
    desk.register("node-1", rate_limit_pps=10)
    assert desk.submit("10.0.0.7", tool="nmap", ports="1-20000", rate_pps=1_000_000).splits_ports
    assert desk.submit("10.0.0.7", tool="nmap", ports="1-20000").splits_ports
