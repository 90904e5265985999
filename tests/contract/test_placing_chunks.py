"""What one node cannot send to goes to a node that can; what none can is failed by itself, or refused at submit."""

from __future__ import annotations

import pytest

from cloudx.domain.errors import LeaseLost, NoCapableNode
from cloudx.domain.reach import Reach
from cloudx.domain.scans import ScanStatus
from cloudx.domain.targets import parse_targets
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import fail_chunk
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.scanner_port import Egress, Way
from cloudx.services.scans.view import prove_coverage
from fixtures.ledgers import Desk

GATEWAY = Egress("eth0", "10.9.0.2", "10.9.0.1", "02:00:00:00:00:01")
WORDS = "10.0.0.0 is on the network of eth0 itself. Scan it with nmap."
LINK = Reach(links=("10.0.0.0-10.0.0.255",), unrouted=("224.0.0.0-255.255.255.255",))
ROUTED = Reach(links=("172.30.0.0-172.30.0.255",))


def way(targets: str, why_not: str = "") -> Way:
    return Way(parse_targets(targets).addresses, None if why_not else GATEWAY, why_not)


def place(desk: Desk, claim: Claim, *ways: Way) -> Egress | None:
    return place_chunk(desk.open_ledger, claim, ways)


@pytest.fixture
def two_nodes(desk: Desk) -> Desk:
    """node-1, which says nothing of its networks, and node-2, which reaches everything by its gateway."""
    desk.register("node-2", reach=ROUTED)
    return desk


def test_a_chunk_of_one_way_runs_by_it(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    assert place(desk, desk.must_claim(), way("10.0.0.0/24")) == GATEWAY


def test_a_chunk_of_three_ways_becomes_a_chunk_for_each_and_every_address_stays_planned(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", exclude=("10.0.0.200",))
    claim = desk.must_claim()
    link = way("10.0.0.64-10.0.0.127", WORDS)
    assert place(desk, claim, way("10.0.0.0-63 10.0.0.128-199"), link, way("10.0.0.201-255")) is None
    view, proofs = prove_coverage(desk.open_ledger, scan.id)
    assert view.coverage.balances and view.coverage.remaining == 255
    parts = [proof.record.span.addresses_of(scan).texts() for proof in proofs]
    assert parts == [
        ["10.0.0.0-10.0.0.63"], ["10.0.0.64-10.0.0.127"], ["10.0.0.128-10.0.0.199"], ["10.0.0.201-10.0.0.255"],
    ]  # fmt: skip
    assert desk.books(scan) == desk.recounted(scan)
    with pytest.raises(LeaseLost):
        desk.complete(claim)


def test_a_chunk_is_never_given_again_to_a_node_that_cannot_send_there(two_nodes: Desk) -> None:
    two_nodes.submit("10.0.0.0/24")
    assert place(two_nodes, two_nodes.must_claim(node="node-1"), way("10.0.0.0/24", WORDS)) is None
    assert two_nodes.claim("w1", node="node-1") is None
    assert two_nodes.must_claim("w2", node="node-2").addresses.size == 256


def test_a_chunk_that_failed_here_is_taken_again_where_nobody_else_is(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    fail_chunk(desk.open_ledger, desk.must_claim(node="node-1"), "it broke")
    desk.end_back_off(scan)
    assert desk.claim("w1", node="node-1") is not None


def test_what_no_node_can_send_to_is_failed_by_itself_and_the_scan_is_completed_in_part(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    place(desk, desk.must_claim(node="node-1"), way("10.0.0.0-127"), way("10.0.0.128-255", WORDS))
    while claim := desk.claim("w1", node="node-1"):
        if "10.0.0.128" in claim.addresses.texts()[0]:
            assert place(desk, claim, way("10.0.0.128-255", WORDS)) is None
        else:
            desk.complete(claim)
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED and view.scan.error is None
    assert (view.coverage.completed, view.coverage.failed, view.coverage.remaining) == (128, 128, 0)
    assert view.warnings == ("Completed in part: 128 of 256 probes failed.", f"128 probes failed: {WORDS}")


def test_nodes_that_said_that_they_cannot_send_there_are_not_waited_for(desk: Desk) -> None:
    for number in range(2, 5):
        desk.register(f"node-{number}", reach=LINK)
    scan = desk.submit("10.0.0.0/23")
    on_link = parse_targets("10.0.0.0/24").addresses
    while claim := desk.claim("w1", node="node-1"):
        here, beyond = claim.addresses & on_link, claim.addresses - on_link
        ways = [Way(here, why_not=WORDS)] * bool(here) + [Way(beyond, GATEWAY)] * bool(beyond)
        if place(desk, claim, *ways):
            desk.complete(claim)
    view = desk.show(scan)
    assert (view.scan.status, view.coverage.failed, view.coverage.completed) == (ScanStatus.COMPLETED, 256, 256)


def test_a_scan_of_which_nothing_could_be_sent_failed_and_says_why(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    place(desk, desk.must_claim(node="node-1"), way("10.0.0.0/24", WORDS))
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.FAILED
    assert WORDS in (view.scan.error or "") and view.coverage.failed == 256


@pytest.mark.parametrize("tool", ["masscan", "zmap"])
def test_what_is_on_the_link_of_every_fit_node_is_refused_with_the_addresses_and_nmap_as_the_remedy(
    desk: Desk, tool: str
) -> None:
    desk.register("node-1", reach=LINK)
    desk.register("node-2", reach=LINK)
    with pytest.raises(NoCapableNode, match=r"10\.0\.0\.128-10\.0\.0\.255 .*nmap.*exclude") as refused:
        desk.submit("10.0.0.128-10.0.1.9", tool=tool)
    assert refused.value.details["addresses"] == ["10.0.0.128-10.0.0.255"]
    assert desk.count("scans") == desk.count("chunks") == 0


def test_what_one_node_routes_is_taken_whatever_the_others_have_on_their_links(desk: Desk) -> None:
    desk.register("node-1", reach=LINK)
    desk.register("node-2", reach=ROUTED)
    assert desk.submit("10.0.0.0/24").addresses.size == 256


def test_nmap_and_a_single_address_on_the_link_and_what_is_excluded_are_taken(desk: Desk) -> None:
    desk.register("node-1", reach=LINK)
    assert desk.submit("10.0.0.0/24", tool="nmap").addresses.size == 256
    assert desk.submit("10.0.0.7 10.0.1.0/24").addresses.size == 257
    assert desk.submit("10.0.0.0/23", exclude=("10.0.0.0/24",)).addresses.size == 256


def test_a_node_that_says_nothing_of_its_networks_is_believed_to_reach_everything(desk: Desk) -> None:
    desk.register("node-1", reach=LINK)
    desk.register("node-2")
    assert desk.submit("10.0.0.0/24").addresses.size == 256


def test_an_address_to_which_no_node_has_a_route_is_refused_even_alone(desk: Desk) -> None:
    desk.register("node-1", reach=Reach(unrouted=("10.0.0.9",)))
    with pytest.raises(NoCapableNode, match=r"10\.0\.0\.9 "):
        desk.submit("10.0.0.9")
