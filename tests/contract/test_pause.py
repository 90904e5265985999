"""A paused scan holds still: no lease, no turn, no worker; what it has stays, and it goes on from there."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import scans
from cloudx.domain.access import Principal, Role
from cloudx.domain.chunks import ChunkState
from cloudx.domain.errors import IllegalTransition, NotFound
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.finish import RunOutput, keep_stopped_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.control import delete_scan, pause_scan, resume_scan, stop_scan
from cloudx.services.scans.view import list_scans
from contract.test_concurrent_workers import run_at_once
from fixtures.dispatch_office import FIT_NODES, Office
from fixtures.ledgers import ADMIN, LONG_AGO, POSTGRESQL_ALONE, Desk, found

ANN = Principal("ann", Role.OPERATOR)


def several_chunks(desk: Desk, **more: Any) -> Scan:
    return desk.submit("10.0.0.0/22", rate_pps=20, **more)


def pause(desk: Desk, scan: Scan) -> None:
    pause_scan(desk.open_ledger, scan.id, ANN)


def resume(desk: Desk, scan: Scan) -> None:
    resume_scan(desk.open_ledger, scan.id, ANN)


def test_a_pause_drops_what_runs_and_leases_nothing_until_it_is_resumed(desk: Desk) -> None:
    scan = several_chunks(desk)
    claim = desk.must_claim()
    pause(desk, scan)
    assert desk.renew(claim) is RenewalResult.DROP
    assert keep_stopped_chunk(desk.open_ledger, claim, RunOutput([found("10.0.0.1")]), 0.5) is None
    release_chunk(desk.open_ledger, claim)
    assert desk.claim() is None
    assert desk.claim("dispatched", only_scan=scan.id) is None
    resume(desk, scan)
    assert desk.must_claim().lease.span.number == claim.lease.span.number


def test_what_a_pause_interrupted_is_run_again_and_counted_once(desk: Desk) -> None:
    scan = several_chunks(desk)
    desk.complete(desk.must_claim(), found("10.0.0.1"))
    second = desk.must_claim("w2")
    pause(desk, scan)
    desk.complete(second)  # its commit was under way, and counts
    before = desk.show(scan)
    assert (before.scan.status, before.tally.chunks_done, before.tally.chunks_leased) == (ScanStatus.RUNNING, 2, 0)
    resume(desk, scan)
    desk.run_to_end(scan)
    after = desk.show(scan)
    assert after.scan.status is ScanStatus.COMPLETED
    assert (after.coverage.completed, after.coverage.balances) == (1024, True)
    assert desk.books(scan) == desk.recounted(scan)


def test_a_silent_worker_of_a_paused_scan_loses_its_chunk_to_the_queue(desk: Desk) -> None:
    scan = several_chunks(desk)
    claim = desk.must_claim()
    pause(desk, scan)
    desk.expire(claim)
    assert reconcile_scans(desk.open_ledger) == 1
    assert {row["state"] for row in desk.chunk_rows(scan)} == {ChunkState.PENDING.value}


def test_it_says_who_paused_it_keeps_its_progress_and_expects_no_end(desk: Desk) -> None:
    scan = several_chunks(desk)
    desk.complete(desk.must_claim())
    progress = desk.show(scan).progress
    pause(desk, scan)
    shown = desk.show(scan)
    assert shown.waiting_reason is not None and shown.waiting_reason.startswith("Paused by ann since ")
    assert (shown.progress, shown.eta_seconds) == (progress, None)
    listed = list_scans(desk.open_ledger, limit=1, before_id=None, status=None, tool=None).views[0]
    assert listed.scan.hold.is_paused and listed.waiting_reason == shown.waiting_reason


def test_a_scan_submitted_suspended_is_paused_by_its_submitter_and_starts_when_resumed(desk: Desk) -> None:
    scan = several_chunks(desk, suspended=True, by=ANN)
    assert desk.show(scan).scan.hold.paused_by == "ann"
    assert desk.claim() is None
    assert desk.show(scan).scan.started_at is None
    resume(desk, scan)
    assert desk.claim() is not None


@pytest.mark.parametrize("end", [stop_scan, delete_scan])
def test_a_paused_scan_can_be_stopped_and_deleted(desk: Desk, end: object) -> None:
    scan = several_chunks(desk)
    pause(desk, scan)
    end(desk.open_ledger, scan.id, ADMIN)  # type: ignore[operator]
    assert desk.claim() is None
    for change in (pause_scan, resume_scan):
        with pytest.raises((IllegalTransition, NotFound)):
            change(desk.open_ledger, scan.id, ANN)


def test_a_paused_scan_takes_no_turn_and_no_share_from_others(desk: Desk) -> None:
    mine = desk.submit("10.0.0.0/16", rate_pps=8_000_000, by=ANN)
    other = desk.submit("10.1.0.0/16", rate_pps=8_000_000, by=Principal("bob", Role.OPERATOR))
    alone = desk.submit("10.1.0.0/16", rate_pps=8_000_000)
    pause(desk, mine)
    pause(desk, alone)
    claims = [desk.must_claim("w", node_limit_pps=1600), desk.claim("w", node_limit_pps=1600)]
    granted = {claim.scan.id: claim.lease.rate_pps for claim in claims if claim}
    assert set(granted) == {other.id}
    assert sum(claim.lease.rate_pps for claim in claims if claim) == 1500  # all but the sixteenth for small scans


def test_the_workers_of_a_paused_scan_end_and_come_again_when_it_is_resumed(office: Office) -> None:
    scan = office.submit()
    office.settle()
    assert len(office.alive(scan)) == FIT_NODES
    pause(office.desk, scan)
    office.settle()
    assert office.alive(scan) == []
    resume(office.desk, scan)
    office.settle()
    assert len(office.alive(scan)) == FIT_NODES


def test_the_budget_of_a_scan_does_not_run_while_it_is_paused(desk: Desk) -> None:
    scan = several_chunks(desk, budget_seconds=3600)
    desk.must_claim()
    pause(desk, scan)
    with desk.engine.begin() as connection:
        long_pause = update(scans).where(scans.c.id == scan.id)
        connection.execute(long_pause.values(started_at=LONG_AGO, paused_at=LONG_AGO))
    reconcile_scans(desk.open_ledger)
    resume(desk, scan)
    reconcile_scans(desk.open_ledger)
    assert desk.show(scan).scan.status is ScanStatus.RUNNING
    with desk.engine.begin() as connection:
        connection.execute(update(scans).where(scans.c.id == scan.id).values(paused_seconds=0))
    reconcile_scans(desk.open_ledger)
    assert desk.show(scan).scan.status is ScanStatus.STOPPED


def test_the_last_commit_of_a_paused_scan_ends_it(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim()
    pause(desk, scan)
    desk.complete(claim)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED


@POSTGRESQL_ALONE
def test_pauses_and_resumes_meet_claims_and_ends_without_a_deadlock_or_a_lost_chunk(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/22", rate_pps=100_000, ports="1-3")

    def work(worker: str) -> None:
        for _ in range(30):
            if claim := desk.worker_elsewhere().claim(worker):
                desk.complete(claim)

    def flip() -> None:
        for _ in range(20):
            pause(desk, scan)
            resume(desk, scan)

    with suppress(IllegalTransition):  # the workers were quicker
        run_at_once(flip, *(partial(work, f"w{number}") for number in range(3)))
    desk.run_to_end(scan)
    shown = desk.show(scan)
    assert (shown.scan.status, shown.coverage.completed) == (ScanStatus.COMPLETED, 3 * 1024)
