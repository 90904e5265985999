"""Many workers at once on one ledger: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from cloudx.domain.errors import LeaseLost, NotFound
from cloudx.domain.scans import ScanStatus
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.control import delete_scan, stop_scan
from cloudx.services.scans.results import stream_findings
from fixtures.ledgers import ADMIN, Desk, found


def run_at_once(*jobs: Callable[[], object]) -> None:
    """Run every job on a thread of its own, begun together; raises what the first of them raised."""
    failures: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def guarded(job: Callable[[], object]) -> None:
        try:
            gate.wait(10)
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


class Sending:
    """What is granted at this moment by the workers' own books: never more than by the ledger's."""

    def __init__(self, scan_limit_pps: int, node_limit_pps: int) -> None:
        self._limits = (scan_limit_pps, node_limit_pps)
        self._lock = threading.Lock()
        self._scan_pps = 0
        self._node_pps: dict[str, int] = {}
        self.most_pps = 0

    def add(self, node: str, rate_pps: int) -> None:
        with self._lock:
            self._scan_pps += rate_pps
            self._node_pps[node] = self._node_pps.get(node, 0) + rate_pps
            self.most_pps = max(self.most_pps, self._scan_pps)
            assert self._scan_pps <= self._limits[0]
            assert self._node_pps[node] <= self._limits[1]


def test_sixteen_workers_never_get_the_same_chunk_and_never_more_than_the_rate_of_the_scan_or_node(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=16)  # 69 chunks of 240 probes
    sending = Sending(16, 6)
    claimed: list[int] = []

    def work(number: int) -> None:
        worker, node = f"w{number}", f"node-{number % 4}"
        while desk.show(scan).tally.chunks_done < scan_chunks:
            claim = desk.claim(worker, node, node_limit_pps=6)
            if claim is None:
                continue
            claimed.append(claim.lease.span.number)
            sending.add(node, claim.lease.rate_pps)
            assert desk.renew(claim) is RenewalResult.GO_ON
            sending.add(node, -claim.lease.rate_pps)
            _complete(desk, claim)

    scan_chunks = desk.show(scan).tally.chunks_total
    run_at_once(*[partial(work, number) for number in range(16)])
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert sorted(claimed) == list(range(scan_chunks))
    assert len(list(stream_findings(desk.open_ledger, scan.id))) == scan_chunks
    assert sum(share.chunks_done for share in view.workers) == scan_chunks


def test_a_claim_a_stop_and_a_delete_that_meet_end_without_a_deadlock(desk: Desk) -> None:
    for round_number in range(6):
        scan = desk.submit("10.0.0.0/16", rate_pps=10)

        work = [partial(_work_until_lost, desk, f"r{round_number}w{number}", scan.id) for number in range(4)]
        end = [partial(call, desk.open_ledger, scan.id, ADMIN) for call in (stop_scan, delete_scan, delete_scan)]
        run_at_once(*work, *[partial(_unless, NotFound, call) for call in end])
        tables = ("scans", "chunks", "scan_nodes", "attempts", "findings")
        assert [desk.count(table) for table in tables] == [0] * len(tables)
        assert desk.books(scan) == ({}, {})


def test_workers_that_complete_fail_release_and_fall_silent_all_at_once_account_for_every_chunk(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=20)  # 55 chunks

    def work(number: int) -> None:
        turn = number
        while not desk.show(scan).scan.status.is_final:
            reconcile_scans(desk.open_ledger)
            desk.end_back_off(scan)
            claim = desk.claim(f"w{number}", node_limit_pps=2)
            if claim is None:
                continue
            turn += 1
            if turn % 7 == 0:
                desk.expire(claim)
            elif turn % 5 == 0:
                release_chunk(desk.open_ledger, claim)
            elif turn % 11 == 0:
                _unless(LeaseLost, partial(fail_chunk, desk.open_ledger, claim, "boom"))
            else:
                _unless(LeaseLost, partial(_complete, desk, claim))

    run_at_once(*[partial(work, number) for number in range(8)])
    view = desk.show(scan)
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    states = [row["state"] for row in desk.chunk_rows(scan)]
    assert set(states) <= {"done", "failed"}
    assert (states.count("done"), states.count("failed")) == (view.tally.chunks_done, view.tally.chunks_failed)
    assert len(list(stream_findings(desk.open_ledger, scan.id))) == view.tally.chunks_done
    assert desk.books(scan) == desk.recounted(scan)


def _work_until_lost(desk: Desk, worker: str, scan_id: str) -> None:
    while claim := desk.claim(worker, only_scan=scan_id, node_limit_pps=4):
        _unless(LeaseLost, partial(_complete, desk, claim))


def _complete(desk: Desk, claim: Claim) -> int:
    return desk.complete(claim, found(str(next(iter(claim.addresses)))))


def _unless(expected: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except expected:
        return
