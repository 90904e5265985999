"""Scans of two stages in the ledger: each open port is queued once, with the chunk that found it, and counted once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cloudx.domain.errors import InvalidInput, LeaseLost
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import Tool
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.ledger.records import FindingRow
from cloudx.services.scans.find_probes import FindProbes
from cloudx.services.scans.second_stage import Then
from cloudx.services.scans.view import get_scan, prove_coverage
from fixtures.ledgers import Desk, found


def submit(desk: Desk, *targets: str, **more: Any) -> Scan:
    """masscan on four addresses and two ports, then nmap; one chunk unless asked otherwise."""
    more = {"ports": "22,80", "then": Then("nmap", "intense"), **more}
    return desk.submit(*(targets or ("10.0.0.0/30",)), **more)


def claim_of(desk: Desk, tool: Tool, worker: str = "w1") -> Claim:
    claim = desk.must_claim(worker)
    assert claim.scan.tool is tool
    return claim


def rows(desk: Desk, scan: Scan) -> dict[tuple[str, int], FindingRow]:
    with desk.open_ledger(read_only=True) as ledger:
        return {(row.ip, row.port): row for row in ledger.findings.page(scan.id, None, 1000)}


def stages(desk: Desk, scan: Scan) -> list[tuple[str, str, int, int, int, int]]:
    shown = get_scan(desk.open_ledger, scan.id)
    parts = [(one.tool, one.unit, one.coverage) for one in shown.stages]
    assert all(coverage.balances for *_, coverage in parts)
    assert shown.coverage.balances
    return [(tool, unit, c.planned, c.completed, c.excluded, c.failed) for tool, unit, c in parts]


def test_open_ports_go_to_nmap_with_the_commit_that_found_them_and_its_rows_take_their_place(desk: Desk) -> None:
    scan = submit(desk)
    first = claim_of(desk, Tool.MASSCAN)
    assert desk.claim("w2") is None, "nothing follows yet"
    desk.complete(first, found("10.0.0.1", 22), found("10.0.0.1", 80), found("10.0.0.2", 80))
    assert stages(desk, scan) == [("masscan", "probe", 8, 8, 0, 0), ("nmap", "port", 3, 0, 0, 0)]
    claims = [claim_of(desk, Tool.NMAP, worker) for worker in ("w1", "w2")]
    assert sorted((claim.addresses.texts(), str(claim.ports)) for claim in claims) == [
        (["10.0.0.1"], "22,80"),
        (["10.0.0.2"], "80"),
    ]
    assert desk.claim("w3") is None
    assert desk.show(scan).scan.status is ScanStatus.RUNNING
    for claim in claims:
        ports = [int(port) for port in str(claim.ports).split(",")]
        desk.complete(claim, *(found(claim.addresses.texts()[0], port, service="http") for port in ports))
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    assert stages(desk, scan) == [("masscan", "probe", 8, 8, 0, 0), ("nmap", "port", 3, 3, 0, 0)]
    assert {key: row.service for key, row in rows(desk, scan).items()} == dict.fromkeys(
        [("10.0.0.1", 22), ("10.0.0.1", 80), ("10.0.0.2", 80)], "http"
    )
    assert {row.scan_id for row in rows(desk, scan).values()} == {scan.id}


def test_a_scan_that_finds_nothing_open_ends_with_its_first_stage(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(claim_of(desk, Tool.MASSCAN))
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    assert stages(desk, scan) == [("masscan", "probe", 8, 8, 0, 0), ("nmap", "port", 0, 0, 0, 0)]


def test_what_a_late_worker_of_the_first_stage_found_is_not_queued_again(desk: Desk) -> None:
    scan = submit(desk)
    late = claim_of(desk, Tool.MASSCAN)
    desk.expire(late)
    reconcile_scans(desk.open_ledger)
    desk.complete(claim_of(desk, Tool.MASSCAN, "w2"), found("10.0.0.1"))
    with pytest.raises(LeaseLost):
        desk.complete(late, found("10.0.0.1"), found("10.0.0.2"))
    assert stages(desk, scan)[1] == ("nmap", "port", 1, 0, 0, 0)
    assert set(rows(desk, scan)) == {("10.0.0.1", 80)}


def test_what_a_late_worker_of_the_second_stage_says_is_not_counted(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(claim_of(desk, Tool.MASSCAN), found("10.0.0.1"))
    late = claim_of(desk, Tool.NMAP)
    desk.expire(late)
    reconcile_scans(desk.open_ledger)
    desk.complete(claim_of(desk, Tool.NMAP, "w2"), found("10.0.0.1", service="http"))
    with pytest.raises(LeaseLost):
        desk.complete(late, found("10.0.0.1", service="late"))
    assert rows(desk, scan)["10.0.0.1", 80].service == "http"
    assert stages(desk, scan)[1] == ("nmap", "port", 1, 1, 0, 0)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED


def test_the_proof_names_each_stages_chunks_with_what_they_covered(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(claim_of(desk, Tool.MASSCAN), found("10.0.0.1", 22), found("10.0.0.2", 22), found("10.0.0.3", 80))
    _, proofs = prove_coverage(desk.open_ledger, scan.id)
    shown = [(one.stage, one.addresses.texts(), str(one.ports)) for one in proofs]
    assert shown == [
        (1, ["10.0.0.0-10.0.0.3"], "22,80"),
        (2, ["10.0.0.1-10.0.0.2"], "22"),
        (2, ["10.0.0.3"], "80"),
    ]


def test_what_nmap_cannot_follow_is_refused(desk: Desk) -> None:
    for more in (
        {"tool": "masscan", "scan_type": "udp_scan"},
        {"tool": "masscan", "scan_type": "ping_scan", "ports": None},
        {"tool": "nmap"},
        {"then": Then("masscan", "tcp_scan")},
        {"then": Then("nmap", "full")},
    ):
        with pytest.raises(InvalidInput) as refusal:
            submit(desk, **more)
        assert refusal.value.field == "then"


def test_events_tell_of_one_scan_by_its_own_id_and_of_chunks_by_their_stage(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(claim_of(desk, Tool.MASSCAN), found("10.0.0.1"))
    desk.complete(claim_of(desk, Tool.NMAP), found("10.0.0.1", service="http"))
    with desk.engine.connect() as connection:
        told = connection.execute(
            text("SELECT type, state, detail, scan_id FROM events ORDER BY transaction_id, serial")
        )
        rows = [(kind, state, detail, str(UUID(str(scan_id)))) for kind, state, detail, scan_id in told]
    assert {scan_id for *_, scan_id in rows} == {scan.id}
    assert [(kind, state) for kind, state, *_ in rows if kind == "scan"] == [
        ("scan", "submitted"),
        ("scan", "running"),
        ("scan", "completed"),
    ]
    assert [(state, detail) for kind, state, detail, _ in rows if kind == "chunk"] == [
        ("leased", None),
        ("done", None),
        ("leased", "stage 2"),
        ("done", "stage 2"),
    ]


def test_who_probed_an_address_names_the_attempts_of_both_stages_by_the_scans_id(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(claim_of(desk, Tool.MASSCAN), found("10.0.0.1", 22), found("10.0.0.1", 80), found("10.0.0.2", 80))
    while claim := desk.claim():
        desk.complete(claim)
    find = FindProbes(desk.open_ledger, desk.policies)
    for ip, ports in (("10.0.0.1", "22,80"), ("10.0.0.2", "80")):
        told = [(probe.attempt.scan_id, probe.attempt.tool, probe.attempt.ports) for probe in find(ip).probes]
        assert told == [(scan.id, "masscan", "22,80"), (scan.id, "nmap", ports)]
    assert [probe.attempt.tool for probe in find("10.0.0.3").probes] == ["masscan"]
