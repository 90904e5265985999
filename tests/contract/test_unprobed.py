"""What a run did not probe is failed, not completed, and the scan says why: on SQLite and on PostgreSQL."""

from __future__ import annotations

from cloudx.domain.scans import ScanStatus
from cloudx.services.scans.view import prove_coverage
from fixtures.ledgers import Desk

WORDS = "10.99.0.1: failed to determine route"


def test_a_host_that_nmap_skipped_is_failed_and_the_rest_completed(desk: Desk) -> None:
    scan = desk.submit("10.77.0.5 10.99.0.1", tool="nmap", scan_type="default")
    claim = desk.must_claim()
    desk.complete_without(claim, "10.99.0.1", WORDS)
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.planned, view.coverage.completed, view.coverage.failed) == (2, 1, 1)
    assert view.coverage.balances
    assert view.warnings == (
        "Completed in part: 1 of 2 hosts failed.",
        f"1 host failed: {WORDS}",
    )


def test_the_proof_names_the_chunk_and_the_words(desk: Desk) -> None:
    scan = desk.submit("10.77.0.5 10.99.0.1", tool="nmap", scan_type="default")
    desk.complete_without(desk.must_claim(), "10.99.0.1", WORDS)
    _, proofs = prove_coverage(desk.open_ledger, scan.id)
    (proof,) = proofs
    assert (proof.record.failed_units, proof.record.last_error) == (1, WORDS)


def test_the_books_by_node_count_it_as_failed(desk: Desk) -> None:
    scan = desk.submit("10.77.0.0/30", tool="nmap", scan_type="default")
    desk.complete_without(desk.must_claim(), "10.77.0.2-10.77.0.3", "sendto: Operation not permitted")
    assert desk.books(scan) == desk.recounted(scan)
    view = desk.show(scan)
    assert (view.coverage.completed, view.coverage.failed, view.coverage.remaining) == (2, 2, 0)


def test_hosts_given_up_at_the_scans_own_time_limit_are_failed_and_told_as_not_reached(desk: Desk) -> None:
    scan = desk.submit("10.77.0.0/30", tool="nmap", timeout_seconds=30)
    claim = desk.must_claim()
    assert claim.scan.timeout_seconds == 30
    desk.complete_without(claim, "10.77.0.1-10.77.0.3", "nmap gave the host up after its time limit", timed_out=2)
    coverage = desk.show(scan).coverage
    assert (coverage.completed, coverage.failed, coverage.not_reached) == (1, 3, 2)
    assert coverage.balances
