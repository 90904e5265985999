"""Who probed an address: every attempt that may have sent to it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from cloudx.domain.access import Principal, Role
from cloudx.services.chunks.finish import RunOutput, fail_chunk, keep_stopped_chunk, release_chunk
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.scanner_port import Way
from cloudx.services.chunks.split import split_stragglers
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.find_probes import FindProbes
from fixtures.ledgers import ADMIN, Desk
from fixtures.probes import first_of, last_of, now_of, outcomes, probes, straggler, two_ways

BOB = Principal("bob", Role.OPERATOR)


def test_an_answer_tells_the_scan_the_node_the_ports_and_who_asked(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24", ports="22,80-90", by=BOB)
    claim = desk.must_claim("w1", "vps-7")
    note_source(desk.open_ledger, claim.lease, "192.0.2.7")
    desk.complete(claim)
    (probe,) = probes(desk, first_of(claim))
    attempt = probe.attempt
    assert (attempt.scan_id, attempt.tool, attempt.type_name, attempt.ports, attempt.asked_by) == (
        scan.id, "masscan", "tcp_scan", "22,80-90", "bob",
    )  # fmt: skip
    assert (attempt.node_id, attempt.source_ip, attempt.sending.outcome) == ("vps-7", "192.0.2.7", "done")
    assert probe.scope is not None and probe.scope.owner == "setup"
    assert attempt.sending.ended_at is not None
    assert now_of(desk) >= attempt.sending.ended_at >= attempt.sending.started_at > now_of(desk) - timedelta(minutes=1)


@pytest.mark.parametrize("spelling", ["10.0.0.5", "::ffff:10.0.0.5", "::FFFF:a00:5", " 10.0.0.5 "])
def test_every_spelling_of_an_address_finds_its_probes(desk: Desk, spelling: str) -> None:
    desk.run_to_end(desk.submit("10.0.0.5"))
    answer = FindProbes(desk.open_ledger, desk.policies)(spelling)
    assert (answer.ip, len(answer.probes)) == ("10.0.0.5", 1)


def test_an_ipv6_address_has_its_own_probes(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30", "fd77::/126", tool="nmap")
    desk.run_to_end(scan)
    (probe,) = probes(desk, "FD77:0::2")
    assert probe.attempt.scan_id == scan.id
    assert probes(desk, "fd77::4") == ()


def test_each_address_of_a_scan_has_one_attempt_where_all_went_well_and_no_other_has_any(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1-10", "10.0.0.50", "10.0.3.0/24", rate_pps=10)
    claims = desk.run_to_end(scan)
    assert len(claims) > 1
    for claim in claims:
        for ip in (first_of(claim), last_of(claim)):
            (probe,) = probes(desk, ip)
            assert probe.attempt.scan_id == scan.id
    for neighbour in ("10.0.0.0", "10.0.0.11", "10.0.0.49", "10.0.0.51", "10.0.2.255", "10.0.4.0", "0.0.0.0", "::1"):
        assert probes(desk, neighbour) == (), neighbour


def test_ports_are_those_of_the_attempt_and_of_a_scan_without_any_there_are_none(desk: Desk) -> None:
    desk.submit("10.0.0.1", ports="1-60000", rate_pps=1000)
    while claim := desk.claim():
        desk.complete(claim)
    shown = [probe.attempt.ports for probe in probes(desk, "10.0.0.1")]
    ranges = sorted(tuple(map(int, str(ports).split("-"))) for ports in shown)
    assert len(ranges) > 1 and (ranges[0][0], ranges[-1][-1]) == (1, 60000)
    assert all(low == high + 1 for (_, high), (low, _) in pairwise(ranges))
    for target, settings, ports in (
        ("10.1.0.1", {"scan_type": "ping_scan", "ports": None}, None),
        ("10.1.0.2", {"scan_type": "udp_scan", "ports": "53,161"}, "53,161"),
        ("10.1.0.3", {"tool": "zmap", "scan_type": "icmp_echo", "ports": None}, None),
        ("10.1.0.4", {"tool": "nmap"}, None),
        ("10.1.0.5", {"tool": "nmap", "ports": "T:80,U:53"}, "T:80,U:53"),
    ):
        desk.run_to_end(desk.submit(target, **settings))
        assert [probe.attempt.ports for probe in probes(desk, target)] == [ports], settings


def test_a_running_attempt_is_listed_and_has_no_end(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    (probe,) = probes(desk, first_of(desk.must_claim()))
    assert (probe.attempt.sending.outcome, probe.attempt.sending.ended_at) == (None, None)


def test_a_chunk_that_waits_for_a_worker_was_not_probed(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    assert probes(desk, "10.0.0.1") == ()


def test_failed_released_and_lost_attempts_are_listed_beside_the_one_that_went_well(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    fail_chunk(desk.open_ledger, desk.must_claim("w1"), "broke")
    desk.end_back_off(scan)
    release_chunk(desk.open_ledger, desk.must_claim("w2"))
    lost = desk.must_claim("w3")
    note_source(desk.open_ledger, lost.lease, "192.0.2.3")
    desk.expire(lost)
    assert reconcile_scans(desk.open_ledger) == 1
    desk.run_to_end(scan, "w4")
    found = probes(desk, "10.0.0.1")
    assert [(probe.attempt.node_id, probe.attempt.sending.outcome) for probe in found] == [
        ("node-of-w1", "failed"), ("node-of-w2", "released"), ("node-of-w3", "lost"), ("node-of-w4", "done"),
    ]  # fmt: skip
    assert [probe.attempt.source_ip for probe in found] == [None, None, "192.0.2.3", None]


@pytest.mark.parametrize("keeps_results", [True, False])
def test_the_attempts_of_a_stopped_scan_are_listed(desk: Desk, keeps_results: bool) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    if keeps_results:
        keep_stopped_chunk(desk.open_ledger, claim, RunOutput(), 0.5)
    else:
        desk.expire(claim)
        reconcile_scans(desk.open_ledger)
    assert outcomes(desk, "10.0.0.1") == ["stopped" if keeps_results else "lost"]


def test_an_attempt_whose_chunk_was_cut_keeps_what_it_covered(desk: Desk) -> None:
    scan, slow = straggler(desk)
    first, last = first_of(slow), last_of(slow)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    assert split_stragglers(desk.open_ledger) == 1
    assert outcomes(desk, first) == outcomes(desk, last) == ["recut"]
    again = desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    for ip in (first, last):
        is_again = ip in (first_of(again), last_of(again))
        assert outcomes(desk, ip) == ["recut", None if is_again else "done"], ip


def test_a_part_of_a_cut_chunk_that_is_cut_again_has_both_attempts(desk: Desk) -> None:
    _, slow = straggler(desk)
    desk.age(slow, held_seconds=300, sent_share=0.01)
    assert split_stragglers(desk.open_ledger) == 1
    part = desk.must_claim("slow")
    place_chunk(desk.open_ledger, part, two_ways(part))
    assert outcomes(desk, first_of(part)) == outcomes(desk, last_of(part)) == ["recut", "recut"]


def test_a_chunk_cut_after_its_worker_was_lost_keeps_what_the_lost_one_covered(desk: Desk) -> None:
    scan, lost = straggler(desk)
    desk.expire(lost)
    assert reconcile_scans(desk.open_ledger) == 1
    assert desk.show(scan).tally.chunks_pending > 1
    desk.run_to_end(scan, "quick")
    for ip in (first_of(lost), last_of(lost)):
        assert outcomes(desk, ip) == ["lost", "done"]


def test_a_chunk_that_went_back_in_parts_by_its_ways_is_listed_in_doubt(desk: Desk) -> None:
    desk.submit("10.0.0.0/24", rate_pps=100)
    claim = desk.must_claim()
    place_chunk(desk.open_ledger, claim, two_ways(claim))
    assert outcomes(desk, first_of(claim)) == outcomes(desk, last_of(claim)) == ["recut"]


def test_a_node_that_cannot_send_there_did_not(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim("w1", "elsewhere")
    place_chunk(desk.open_ledger, claim, [Way(claim.addresses, why_not="no route")])
    assert outcomes(desk, "10.0.0.1") == []
    desk.run_to_end(scan, "w2")
    assert outcomes(desk, "10.0.0.1") == ["done"]
