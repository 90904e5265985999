"""Scans of two stages that do not go as planned: stopped, excluded, out of scope, failed, split, pruned, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkState
from cloudx.domain.errors import NotFound
from cloudx.domain.retention import Retention
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import UNBOUNDED_PPS, Tool
from cloudx.services.access.edit_policy import delete_scope
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import fail_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.scans.control import delete_scan, pause_scan, resume_scan, stop_scan
from cloudx.services.scans.prune import PruneLedger
from cloudx.services.scans.second_stage import Then
from cloudx.services.scans.view import get_scan, list_scans
from fixtures.ledgers import ADMIN, Desk, found


def submit(desk: Desk, then: str = "intense", **more: Any) -> Scan:
    return desk.submit("10.0.0.0/30", ports="22,80", then=Then("nmap", then), **more)


def following(desk: Desk, scan: Scan) -> Claim:
    """A claim of the second stage, of what the only chunk of the first found open."""
    first = desk.must_claim()
    assert first.scan.tool is Tool.MASSCAN
    desk.complete(first, *(found(f"10.0.0.{host}", port) for host in (1, 2) for port in (22, 80)))
    claim = desk.must_claim()
    assert claim.scan.follows == scan.id
    return claim


def second_of(desk: Desk, scan: Scan) -> tuple[int, int, int, int]:
    second = get_scan(desk.open_ledger, scan.id).stages[1].coverage
    assert second.balances
    return second.planned, second.completed, second.excluded, second.failed


def test_a_stop_ends_both_stages(desk: Desk) -> None:
    scan = submit(desk)
    first = desk.must_claim()
    desk.complete(first, found("10.0.0.1"), found("10.0.0.2", 22))
    running = desk.must_claim()
    assert stop_scan(desk.open_ledger, scan.id, ADMIN).status is ScanStatus.STOPPED
    assert desk.claim("w2") is None
    assert str(desk.renew(running)) == "drop"
    assert second_of(desk, scan) == (2, 0, 0, 0)


def test_what_a_run_of_the_first_stage_finds_after_a_stop_is_kept_and_not_followed(desk: Desk) -> None:
    scan = submit(desk)
    first = desk.must_claim()
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert desk.complete(first, found("10.0.0.1")) == 1
    assert second_of(desk, scan) == (0, 0, 0, 0)


def test_an_address_excluded_meanwhile_is_not_asked_and_counts_as_excluded(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(desk.must_claim(), found("10.0.0.1"), found("10.0.0.2"))
    desk.exclude("10.0.0.2")
    claim = desk.must_claim()
    assert (claim.addresses.texts(), str(claim.ports)) == (["10.0.0.1"], "80")
    desk.complete(claim, found("10.0.0.1", service="http"))
    assert second_of(desk, scan) == (2, 1, 1, 0)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED


def test_a_scope_that_goes_fails_both_stages(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    with desk.open_ledger(read_only=True) as ledger:
        scopes = [scope.id for scope in ledger.policies.scopes()]
    for scope_id in scopes:
        delete_scope(desk.open_ledger, ADMIN, scope_id)
    assert desk.claim() is None
    shown = desk.show(scan)
    assert shown.scan.status is ScanStatus.FAILED
    assert "in no live scope" in (shown.scan.error or "")
    assert desk.count("scans") == 2
    with desk.engine.connect() as connection:
        assert set(connection.execute(text("SELECT status FROM scans")).scalars()) == {"failed"}


def test_a_follow_up_that_fails_three_times_fails_the_scan_and_keeps_the_first_stages_rows(desk: Desk) -> None:
    scan = submit(desk)
    claim: Claim | None = following(desk, scan)
    second = claim.scan if claim else None
    assert second is not None
    for worker in ("w2", "w3", None):
        assert claim is not None
        state = fail_chunk(desk.open_ledger, claim, "boom")
        desk.end_back_off(second)
        claim = desk.must_claim(worker) if worker else None
    assert state is ChunkState.FAILED
    shown = desk.show(scan)
    assert shown.scan.status is ScanStatus.FAILED
    assert "boom" in (shown.scan.error or "")
    assert second_of(desk, scan) == (4, 0, 0, 4)
    assert desk.count("findings") == 4


def test_what_nmap_finds_shut_or_does_not_ask_is_told_apart(desk: Desk) -> None:
    scan = submit(desk)
    claim = following(desk, scan)
    desk.complete(claim, found("10.0.0.1", 22, service="ssh"), found("10.0.0.1", 80, state="filtered"))
    with desk.open_ledger(read_only=True) as ledger:
        rows = {(row.ip, row.port): row for row in ledger.findings.page(scan.id, None, 10)}
    assert (rows["10.0.0.1", 80].state, rows["10.0.0.1", 80].extra) == ("filtered", {"first_stage": "open"})
    assert (rows["10.0.0.1", 22].state, rows["10.0.0.1", 22].service) == ("open", "ssh")
    assert (rows["10.0.0.2", 22].state, rows["10.0.0.2", 22].service) == ("open", None)


def test_a_straggler_of_the_second_stage_is_split_and_each_port_stays_in_one_part(desk: Desk) -> None:
    scan = submit(desk)
    claim = following(desk, scan)
    desk.age(claim, held_seconds=60, sent_share=0.1)
    for node in ("node-2", "node-3"):
        desk.register_asking(node)
    reconcile_scans(desk.open_ledger)
    parts = list(iter(lambda: desk.claim("w2"), None))
    assert len(parts) > 1
    covered = [
        (str(address), port) for part in parts for address in part.addresses for port in str(part.ports).split(",")
    ]
    assert sorted(covered) == sorted((f"10.0.0.{host}", port) for host in (1, 2) for port in ("22", "80"))
    for part in parts:
        desk.complete(part)
    assert second_of(desk, scan) == (4, 4, 0, 0)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED


def test_the_second_stage_gets_the_whole_rate_when_the_first_is_over(desk: Desk) -> None:
    scan = submit(desk, "default", rate_pps=800)
    assert scan.asked_rate_pps == 800
    claim = following(desk, scan)
    assert claim.lease.rate_pps <= 100
    reconcile_scans(desk.open_ledger)
    with desk.open_ledger(read_only=True) as ledger:
        second = ledger.scans.get(claim.scan.id)
    assert second is not None
    assert second.scan.rate_pps == 800
    assert desk.show(scan).scan.asked_rate_pps == 800
    unheld = submit(desk, "intense", rate_pps=800)
    assert "nothing holds the version and script probes" in unheld.warnings[0]
    with desk.open_ledger(read_only=True) as ledger:
        follower = ledger.scans.get(unheld.followed_by or "")
    assert follower is not None
    assert follower.scan.rate_pps == UNBOUNDED_PPS


def test_lists_and_counts_have_one_scan_and_the_second_stages_id_is_none_of_theirs(desk: Desk) -> None:
    scan = submit(desk)
    page = list_scans(desk.open_ledger, limit=10, before_id=None, status=None, tool=None)
    assert [view.scan.id for view in page.views] == [scan.id]
    assert page.total == 1
    with desk.open_ledger(read_only=True) as ledger:
        assert sum(ledger.figures.state().scans_by_status.values()) == 1
    assert scan.followed_by is not None
    for act in (
        lambda: get_scan(desk.open_ledger, scan.followed_by or ""),
        lambda: stop_scan(desk.open_ledger, scan.followed_by or "", ADMIN),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_delete_and_a_prune_leave_nothing_of_either_stage(desk: Desk) -> None:
    deleted, pruned = submit(desk), submit(desk)
    for scan in (deleted, pruned):
        desk.complete(following(desk, scan))
    delete_scan(desk.open_ledger, deleted.id, ADMIN)
    assert desk.count("follow_ups") == 1
    assert PruneLedger(desk.open_ledger, Retention(scans_days=-1.0))().scans == 1
    for table in ("scans", "chunks", "attempts", "scan_nodes", "scan_targets", "findings", "follow_ups"):
        assert desk.count(table) == 0, table


def test_all_excluded_is_over_at_once_and_has_no_second_stage(desk: Desk) -> None:
    desk.exclude("10.0.0.0/8")
    scan = submit(desk)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    assert desk.count("scans") == 1


def test_a_host_with_very_many_open_ports_is_named_and_not_asked(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30", ports="1-2000", then=Then("nmap", "intense"))
    desk.complete(desk.must_claim(), *(found("10.0.0.1", port) for port in range(1, 1502)), found("10.0.0.2", 80))
    claim = desk.must_claim()
    assert claim.addresses == AddressSet.of_texts(["10.0.0.2"])
    desk.complete(claim)
    assert second_of(desk, scan) == (1, 1, 0, 0)
    shown = desk.show(scan)
    assert shown.scan.status is ScanStatus.COMPLETED
    assert any("10.0.0.1 answered on so many ports" in warning for warning in shown.warnings)


def test_a_pause_holds_both_stages_and_a_resume_lets_both_go_on(desk: Desk) -> None:
    scan = submit(desk)
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    pause_scan(desk.open_ledger, scan.id, ADMIN)
    assert desk.claim() is None
    resume_scan(desk.open_ledger, scan.id, ADMIN)
    desk.complete(desk.must_claim())
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    suspended = submit(desk, suspended=True)
    assert desk.claim() is None
    resume_scan(desk.open_ledger, suspended.id, ADMIN)
    desk.complete(following(desk, suspended))
    assert desk.show(suspended).scan.status is ScanStatus.COMPLETED
