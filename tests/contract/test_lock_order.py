"""Stops, splits and reconcilers that meet on a real PostgreSQL lock in one order: no deadlock ends any of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.split import split_stragglers
from cloudx.services.scans.control import stop_scan
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import ADMIN, POSTGRESQL_ALONE, Desk

pytestmark = POSTGRESQL_ALONE  # SQLite has one lock

ROUNDS = 60  # with the locks in any order, each of the two fails within the first ten
IDLE = [f"node-{number}" for number in range(2, 6)]


def two_under_way(desk: Desk) -> tuple[Scan, Claim, Claim]:
    """A scan with two chunks left, both of one node, and five nodes with nothing to do: it pays to cut."""
    for node in IDLE:
        desk.register(node, capabilities=())  # unfit: the scan is planned for one node, in few chunks
        desk.ask(node)  # so that one claim does not take the whole rate
    scan = desk.submit("10.0.0.0/20", rate_pps=100)
    claims = desk.must_claim("slow"), desk.must_claim("slow")
    desk.run_to_end(scan, "quick")
    for node in ("node-1", *IDLE):
        desk.register(node)  # or the first of them would be offline after half a minute of rounds
    return scan, *claims


def reconcilers(desk: Desk) -> list[Callable[[], object]]:
    """Two workers that look at the same moment."""
    return [partial(reconcile_scans, desk.open_ledger)] * 2


def test_a_stop_that_meets_the_split_of_a_lost_chunk_waits_for_it_or_comes_first(desk: Desk) -> None:
    split = 0
    for _ in range(ROUNDS):
        scan, lost, given_back = two_under_way(desk)
        planned = desk.show(scan).tally.chunks_total
        release_chunk(desk.open_ledger, given_back)
        desk.expire(lost)
        run_at_once(partial(stop_scan, desk.open_ledger, scan.id, ADMIN), *reconcilers(desk))
        view = desk.show(scan)
        assert view.scan.status is ScanStatus.STOPPED
        assert view.coverage.balances
        assert {row["state"] for row in desk.chunk_rows(scan)} == {"done", "cancelled"}
        split += view.tally.chunks_total > planned
    print(f"{split} of {ROUNDS} stops came after the split")


def test_a_split_that_meets_a_lost_chunk_of_the_same_node_waits_for_it_or_comes_first(desk: Desk) -> None:
    for _ in range(ROUNDS):
        scan, lost, slow = two_under_way(desk)
        desk.age(slow, held_seconds=300, sent_share=0.05)
        desk.expire(lost)
        run_at_once(partial(split_stragglers, desk.open_ledger), *reconcilers(desk))
        assert desk.show(scan).coverage.balances
        stop_scan(desk.open_ledger, scan.id, ADMIN)
