"""Chunks that keep a scan waiting are cut again for idle workers, and counted once: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import chunks, nodes, scans
from cloudx.domain.errors import LeaseLost
from cloudx.domain.planning.stragglers import MAX_SPLITS
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.chunks.split import split_stragglers
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.results import stream_findings
from cloudx.services.scans.view import prove_coverage
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, found

HOSTS = 2**16


def all_but_one(desk: Desk, idle: int = 5) -> tuple[Scan, Claim]:
    """A scan with one full chunk under way, all others done, and idle nodes beside the one that has it."""
    for number in range(2, idle + 1):
        desk.register_asking(f"node-{number}")
    scan = desk.submit("10.0.0.0/16", rate_pps=1000)
    claim = desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    return scan, claim


def test_the_slowest_chunk_is_cut_for_idle_workers_and_its_old_attempt_can_commit_nothing(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    before = desk.show(scan)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    assert split_stragglers(desk.open_ledger) == 1
    after = desk.show(scan)
    assert after.tally.chunks_total == before.tally.chunks_total + 4
    assert after.coverage == before.coverage
    assert after.coverage.balances
    assert after.tally.chunks_pending == 5
    assert desk.renew(slow) is RenewalResult.DROP
    address = str(next(iter(slow.addresses)))
    with pytest.raises(LeaseLost):
        desk.complete(slow, found(address))
    claims = desk.run_to_end(scan, "quick")
    assert sum(claim.units for claim in claims) == slow.units
    assert len({address for claim in claims for address in claim.addresses}) == slow.units
    assert {address for claim in claims for address in claim.addresses} == set(slow.addresses)
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert view.coverage.completed == HOSTS
    seen = Counter(row.ip for row in stream_findings(desk.open_ledger, scan.id))
    assert seen[address] == 1
    assert set(seen.values()) == {1}


def test_the_proof_of_coverage_shows_what_was_cut_and_the_parts_with_numbers_of_their_own(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    planned = desk.show(scan).tally.chunks_total
    desk.age(slow, held_seconds=30, sent_share=0.2)
    split_stragglers(desk.open_ledger)
    desk.run_to_end(scan, "quick")
    proofs = {proof.record.span.number: proof for proof in prove_coverage(desk.open_ledger, scan.id)[1]}
    assert sorted(proofs) == list(range(planned + 4))
    assert sum(proof.record.span.units for proof in proofs.values()) == HOSTS
    first = proofs[slow.lease.span.number]
    assert [(attempt.outcome, attempt.worker_id) for attempt in first.attempts] == [
        ("recut", "slow"),
        ("done", "quick"),
    ]
    assert all(attempt.ended_at for attempt in first.attempts)
    for number in range(planned, planned + 4):
        assert [attempt.outcome for attempt in proofs[number].attempts] == ["done"]
    assert {row["cut_from"] for row in desk.chunk_rows(scan) if row["number"] >= planned} == {slow.lease.span.number}


def test_a_chunk_that_only_waits_for_late_replies_is_no_straggler(desk: Desk) -> None:
    _, slow = all_but_one(desk)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    desk.renew(slow, 0.2, sending=False)
    assert split_stragglers(desk.open_ledger) == 0


def test_nothing_is_cut_while_something_is_left_to_claim(desk: Desk) -> None:
    desk.submit("10.0.0.0/16", rate_pps=1000)
    desk.age(desk.must_claim("slow"), held_seconds=300, sent_share=0.1)
    assert split_stragglers(desk.open_ledger) == 0


def test_nothing_is_cut_when_nobody_is_idle(desk: Desk) -> None:
    _, slow = all_but_one(desk, idle=1)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    desk.submit("10.1.0.0/24")
    desk.must_claim("busy", "node-1")
    assert split_stragglers(desk.open_ledger) == 0


def test_a_node_whose_beats_are_late_is_not_counted_as_idle(desk: Desk) -> None:
    _, slow = all_but_one(desk)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    with desk.engine.begin() as connection:
        connection.execute(update(nodes).values(last_seen=LONG_AGO))
    assert split_stragglers(desk.open_ledger) == 0


def test_a_chunk_that_is_nearly_done_is_left_to_its_worker(desk: Desk) -> None:
    _, slow = all_but_one(desk)
    desk.age(slow, held_seconds=30, sent_share=0.9)
    assert split_stragglers(desk.open_ledger) == 0


def test_a_chunk_is_cut_again_twice_at_most(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    for _ in range(MAX_SPLITS):
        desk.age(slow, held_seconds=300, sent_share=0.01)
        assert split_stragglers(desk.open_ledger) == 1
        slow = desk.must_claim("slow")
        desk.run_to_end(scan, "quick")
    desk.age(slow, held_seconds=300, sent_share=0.01)
    assert split_stragglers(desk.open_ledger) == 0
    desk.complete(slow)
    assert desk.show(scan).coverage.completed == HOSTS


def test_many_that_reconcile_at_once_cut_a_straggler_once(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    total = desk.show(scan).tally.chunks_total
    desk.age(slow, held_seconds=30, sent_share=0.2)
    cut: list[int] = []
    run_at_once(*[partial(lambda: cut.append(split_stragglers(desk.open_ledger)))] * 8)
    assert sum(cut) == 1
    assert desk.show(scan).tally.chunks_total == total + 4
    numbers = [row["number"] for row in desk.chunk_rows(scan)]
    assert numbers == list(range(total + 4))


def test_a_straggler_that_commits_at_the_moment_it_is_cut_is_either_counted_or_cut(desk: Desk) -> None:
    for round_number in range(5):
        scan, slow = all_but_one(desk)
        total = desk.show(scan).tally.chunks_total
        desk.age(slow, held_seconds=30, sent_share=0.2)
        committed: list[int] = []
        cut: list[int] = []

        def commit(slow: Claim = slow, committed: list[int] = committed) -> None:
            try:
                committed.append(desk.complete(slow, found(str(next(iter(slow.addresses))))))
            except LeaseLost:
                return

        run_at_once(commit, *[partial(lambda cut=cut: cut.append(split_stragglers(desk.open_ledger)))] * 3)
        assert len(committed) + sum(cut) == 1, round_number
        desk.run_to_end(scan, "quick")
        view = desk.show(scan)
        assert view.scan.status is ScanStatus.COMPLETED
        assert view.coverage.completed == HOSTS
        assert view.tally.chunks_done == total + 4 * sum(cut)


def test_a_stopped_scan_is_cut_no_more_and_a_cut_scan_can_be_stopped(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    desk.age(slow, held_seconds=30, sent_share=0.2)
    end = [partial(stop_scan, desk.open_ledger, scan.id, ADMIN)]
    run_at_once(*end, *[partial(split_stragglers, desk.open_ledger)] * 3)
    assert split_stragglers(desk.open_ledger) == 0
    assert "pending" not in {row["state"] for row in desk.chunk_rows(scan)}
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.STOPPED
    assert view.coverage.balances


def test_a_chunk_lost_at_the_end_is_shared_out_before_one_worker_takes_all_of_it(desk: Desk) -> None:
    scan, lost = all_but_one(desk)
    total = desk.show(scan).tally.chunks_total
    desk.expire(lost)
    assert reconcile_scans(desk.open_ledger) == 1
    view = desk.show(scan)
    assert view.tally.chunks_total == total + view.tally.chunks_pending - 1 == total + 4
    assert view.coverage.balances
    desk.run_to_end(scan, "quick")
    assert desk.show(scan).coverage.completed == HOSTS
    proofs = {proof.record.span.number: proof for proof in prove_coverage(desk.open_ledger, scan.id)[1]}
    assert [attempt.outcome for attempt in proofs[lost.lease.span.number].attempts] == ["lost", "done"]


def test_a_scan_that_may_have_few_workers_is_cut_for_no_more_of_them(desk: Desk) -> None:
    scan, slow = all_but_one(desk)
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(max_workers=3))
    total = desk.show(scan).tally.chunks_total
    desk.age(slow, held_seconds=300, sent_share=0.05)
    assert split_stragglers(desk.open_ledger) == 1
    assert desk.show(scan).tally.chunks_total == total + 1


def test_no_more_than_the_scans_rate_is_sent_while_a_straggler_hears_that_it_was_cut(desk: Desk) -> None:
    desk.register_asking("node-2")
    scan = desk.submit("10.0.0.0/20", rate_pps=100)
    slow = desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    with desk.engine.begin() as connection:
        connection.execute(update(chunks).where(chunks.c.state == "leased").values(rate_pps=100))  # all of it
    desk.age(slow, held_seconds=900, sent_share=0.2)
    assert split_stragglers(desk.open_ledger) == 1
    assert desk.claim("quick") is None, "the straggler may send for some seconds yet"
    desk.end_back_off(scan)
    desk.run_to_end(scan, "quick")
    assert (desk.show(scan).coverage.balances, desk.show(scan).coverage.remaining) == (True, 0)
