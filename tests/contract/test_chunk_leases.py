"""From submit to complete, and every way a lease can be lost: on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from cloudx.domain.chunks import ChunkState
from cloudx.domain.errors import LeaseLost
from cloudx.domain.scans import ScanStatus
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.reconcile import MAX_ATTEMPTS, reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.results import page_findings
from cloudx.services.scans.view import prove_coverage
from fixtures.ledgers import ADMIN, Desk, found


def test_a_scan_goes_from_submitted_over_running_to_completed_and_its_coverage_balances(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    assert desk.show(scan).scan.status is ScanStatus.SUBMITTED
    claim = desk.must_claim()
    assert desk.show(scan).scan.status is ScanStatus.RUNNING
    assert desk.renew(claim) is RenewalResult.GO_ON
    assert 0 < desk.show(scan).progress < 100
    assert desk.complete(claim, found(str(next(iter(claim.addresses))))) == 1
    claims = [claim, *desk.run_to_end(scan)]
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert view.scan.finished_at is not None
    assert view.progress == 100.0
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert view.coverage.completed == view.coverage.planned == 2**14
    assert view.tally.chunks_done == view.tally.chunks_total == len(claims) > 2
    assert len({claim.lease.span.number for claim in claims}) == len(claims)
    rows, _ = page_findings(desk.open_ledger, scan.id, None, 1000)
    assert len(rows) == len(claims)


def test_a_late_worker_cannot_commit_a_chunk_that_was_re_leased(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    late = desk.must_claim("late")
    desk.expire(late)
    assert reconcile_scans(desk.open_ledger) == 1
    second = desk.must_claim("second")
    assert second.lease.span == late.lease.span
    assert second.lease.attempt == late.lease.attempt + 1
    with pytest.raises(LeaseLost):
        desk.complete(late, found("10.0.0.1", 1))
    assert desk.renew(late) is RenewalResult.DROP
    assert desk.complete(second, found("10.0.0.1", 2)) == 1
    with pytest.raises(LeaseLost):
        desk.complete(late, found("10.0.0.1", 3))
    rows, _ = page_findings(desk.open_ledger, scan.id, None, 10)
    assert [row.port for row in rows] == [2]
    assert desk.show(scan).coverage.completed == 256


def test_a_chunk_counts_once_however_often_it_is_completed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    claim = desk.must_claim()
    desk.complete(claim, found("10.0.0.1"))
    with pytest.raises(LeaseLost):
        desk.complete(claim, found("10.0.0.1"))
    view = desk.show(scan)
    assert (view.coverage.completed, view.tally.chunks_done) == (256, 1)


@pytest.mark.parametrize("offset", [-1, 1, 1000])
def test_no_attempt_but_the_leases_own_may_renew_complete_fail_or_release(desk: Desk, offset: int) -> None:
    scan = desk.submit("10.0.0.0/24")
    other = desk.as_attempt(desk.must_claim(), 1 + offset)
    assert desk.renew(other) is RenewalResult.DROP
    with pytest.raises(LeaseLost):
        desk.complete(other, found("10.0.0.1"))
    with pytest.raises(LeaseLost):
        fail_chunk(desk.open_ledger, other, "no")
    release_chunk(desk.open_ledger, other)
    assert [row["state"] for row in desk.chunk_rows(scan)] == ["leased"]
    assert desk.count("findings") == 0


def test_a_lease_that_is_renewed_does_not_expire_and_one_that_is_not_returns_to_the_queue(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    claim = desk.must_claim()
    assert reconcile_scans(desk.open_ledger) == 0
    desk.expire(claim)
    assert desk.renew(claim) is RenewalResult.GO_ON  # late, but nobody took it meanwhile
    assert reconcile_scans(desk.open_ledger) == 0
    desk.expire(claim)
    assert reconcile_scans(desk.open_ledger) == 1
    (row,) = desk.chunk_rows(scan)
    assert (row["state"], row["sending"], row["lease_until"]) == ("pending", False, None)
    (proof,) = prove_coverage(desk.open_ledger, scan.id)[1]
    assert [attempt.outcome for attempt in proof.attempts] == ["lost"]


def test_a_chunk_given_back_is_there_at_once_for_the_next_worker(desk: Desk) -> None:
    desk.submit("10.0.0.0/24")
    claim = desk.must_claim("leaving")
    assert desk.claim("next") is None
    release_chunk(desk.open_ledger, claim)
    again = desk.must_claim("next")
    assert (again.lease.span, again.lease.attempt) == (claim.lease.span, 2)


def test_a_chunk_that_fails_on_three_nodes_fails_its_scan_with_the_last_words_of_the_tool(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    for node, state in (("a", ChunkState.PENDING), ("b", ChunkState.PENDING), ("c", ChunkState.FAILED)):
        desk.end_back_off(scan)
        claim = desk.must_claim(node, node)
        assert fail_chunk(desk.open_ledger, claim, f"FAIL: no such device on {node}\0") is state
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.FAILED
    assert view.scan.error is not None
    assert "no such device on c" in view.scan.error
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert (view.coverage.failed, view.coverage.completed) == (256, 0)
    assert view.tally.chunks_failed == 1


def test_a_failed_chunk_waits_before_it_is_tried_again_and_is_offered_last_where_it_failed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    claim = desk.must_claim("w", "sick")
    fail_chunk(desk.open_ledger, claim, "boom")
    others = [desk.must_claim("w", "sick") for _ in range(1)]
    assert others[0].lease.span != claim.lease.span
    release_chunk(desk.open_ledger, others[0])
    desk.end_back_off(scan)
    assert desk.must_claim("w", "sick").lease.span != claim.lease.span
    for row in desk.chunk_rows(scan):
        if row["failed_nodes"]:
            assert row["failed_nodes"] == "sick\n"


def test_a_node_is_not_taken_for_another_whose_name_ends_with_its_own(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    claim = desk.must_claim("w", "not-%_sick")
    fail_chunk(desk.open_ledger, claim, "boom")
    desk.end_back_off(scan)
    order = [desk.must_claim("w", node).lease.span for node in ("axsick",)]
    assert order == [claim.lease.span]


def test_a_chunk_that_takes_every_worker_down_is_failed_after_many_attempts(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    for _ in range(MAX_ATTEMPTS):
        desk.expire(desk.must_claim())
        assert reconcile_scans(desk.open_ledger) == 1
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.FAILED
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert f"{MAX_ATTEMPTS} workers were lost" in (view.scan.error or "")


def test_stopping_cancels_what_nobody_holds_and_ends_the_rest_at_its_next_renewal(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    held = desk.must_claim()
    stopped = stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert stopped.status is ScanStatus.STOPPED
    assert desk.claim("other") is None
    assert desk.renew(held) is RenewalResult.DROP
    release_chunk(desk.open_ledger, held)
    assert {row["state"] for row in desk.chunk_rows(scan)} == {"cancelled"}
    view = desk.show(scan)
    assert view.coverage.balances
    assert view.tally.chunks_pending == 0
    assert view.tally.chunks_cancelled == view.tally.chunks_total
    assert stop_scan(desk.open_ledger, scan.id, ADMIN) == stopped


def test_what_was_being_probed_when_a_scan_was_stopped_may_still_be_committed_but_is_never_retried(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    good, bad = desk.must_claim("a"), None
    desk.renew(good, 1.0, sending=False)
    bad = desk.must_claim("b")
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    desk.complete(good, found("10.0.0.1"))
    fail_chunk(desk.open_ledger, bad, "killed")
    states = [row["state"] for row in desk.chunk_rows(scan)]
    assert states.count("done") == 1
    assert states.count("cancelled") == len(states) - 1
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.STOPPED
    assert view.coverage.balances
    assert view.coverage.completed == good.units
