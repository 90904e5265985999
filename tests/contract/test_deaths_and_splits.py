"""Workers that die, straggle, come back late and leave, all at once: each finding is counted once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from functools import partial

import pytest

from cloudx.domain.errors import LeaseLost
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.results import stream_findings
from cloudx.services.scans.view import prove_coverage
from contract.test_concurrent_workers import run_at_once
from fixtures.ledgers import Desk, found

WORKERS = 6
HOSTS = 2**13
RATE_PPS = 600
BEAT_SECONDS = 2.0
TRIALS_SECONDS = 100.0  # two seconds on an idle machine


class Fleet:
    """The scan that all work on, and what was done to it so far."""

    def __init__(self, desk: Desk, scan: Scan) -> None:
        self.desk = desk
        self.scan = scan
        self.planned = desk.show(scan).tally.chunks_total
        self.may_straggle = threading.Semaphore(2)  # at a time: the others need some of the rate
        self.late_refused = 0
        self._lock = threading.Lock()

    def commit_late(self, claim: Claim) -> bool:
        """A worker is back with all it found. Whether it may commit is for the ledger to say."""
        try:
            complete_with_all(self.desk, claim)
        except LeaseLost:
            with self._lock:
                self.late_refused += 1
            return False
        return True  # nobody had noticed that it was away


def complete_with_all(desk: Desk, claim: Claim) -> None:
    """Every address of it answers."""
    desk.complete(claim, *[found(str(address)) for address in claim.addresses])


class Worker:
    """One VPS; what it does with its chunks is drawn by lot."""

    def __init__(self, fleet: Fleet, number: int, seed: int) -> None:
        self._fleet = fleet
        self._name = f"vps-{number}"
        self._random = random.Random(seed * 100 + number)
        self._slow: Claim | None = None
        self._ghosts: list[Claim] = []  # of its earlier lives
        self._beat_at = 0.0

    def run(self) -> None:
        """Until the scan is over, and then once more with whatever is left of its earlier lives."""
        desk, give_up_at = self._fleet.desk, time.monotonic() + TRIALS_SECONDS
        while not desk.show(self._fleet.scan).scan.status.is_final:
            assert time.monotonic() < give_up_at, "the scan does not end"
            self._beat()
            reconcile_scans(desk.open_ledger)
            if self._slow is not None:
                self._straggle_on(self._slow)
            elif (claim := desk.claim(self._name, self._name, only_scan=self._fleet.scan.id)) is not None:
                self._work_on(claim)
        for ghost in self._ghosts:
            assert not self._fleet.commit_late(ghost), "the scan was over"

    def _beat(self) -> None:
        if time.monotonic() > self._beat_at:
            self._fleet.desk.register(self._name, rate_limit_pps=RATE_PPS // 2)
            self._beat_at = time.monotonic() + BEAT_SECONDS

    def _work_on(self, claim: Claim) -> None:
        desk, lot = self._fleet.desk, self._random.random()
        time.sleep(0.01)  # while it has the chunk, an earlier holder of it may come back
        self._ghosts = [ghost for ghost in self._ghosts if not self._fleet.commit_late(ghost)]
        is_fresh = claim.lease.attempt == 1 and claim.lease.span.number < self._fleet.planned
        if lot < 0.15 and claim.lease.attempt < 5:
            desk.expire(claim)
            self._ghosts.append(claim)
        elif lot < 0.4 and is_fresh and claim.units > 1 and self._fleet.may_straggle.acquire(blocking=False):
            self._slow = claim
        elif lot < 0.45:
            release_chunk(desk.open_ledger, claim)
        else:
            complete_with_all(desk, claim)

    def _straggle_on(self, claim: Claim) -> None:
        """It renews and gets nowhere, until it hears that the chunk was cut; then it tries to commit all of it."""
        desk = self._fleet.desk
        if desk.renew(claim, 0.01) is RenewalResult.GO_ON:
            desk.age(claim, held_seconds=300, sent_share=0.01)
            time.sleep(0.02)
            return
        self._slow = None
        self._fleet.may_straggle.release()
        with pytest.raises(LeaseLost):
            complete_with_all(desk, claim)
        self._ghosts.append(claim)


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_that_die_straggle_and_come_back_late_all_at_once_count_each_finding_once(
    desk: Desk, seed: int
) -> None:
    for number in range(WORKERS + 2):  # two have nothing to do but wait
        desk.register(f"vps-{number}", rate_limit_pps=RATE_PPS // 2)
    scan = desk.submit("10.0.0.0/19", rate_pps=RATE_PPS)
    fleet = Fleet(desk, scan)
    run_at_once(*[partial(Worker(fleet, number, seed).run) for number in range(WORKERS)])

    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED
    assert (view.coverage.balances, view.coverage.remaining) == (True, 0)
    assert view.coverage.completed == HOSTS
    seen = Counter(row.ip for row in stream_findings(desk.open_ledger, scan.id))
    assert len(seen) == HOSTS
    assert set(seen.values()) == {1}
    proofs = list(prove_coverage(desk.open_ledger, scan.id)[1])
    assert [proof.record.span.number for proof in proofs] == list(range(view.tally.chunks_total))
    assert sum(proof.record.span.units for proof in proofs) == HOSTS
    outcomes = Counter(attempt.outcome for proof in proofs for attempt in proof.attempts)
    assert outcomes["done"] == view.tally.chunks_total == view.tally.chunks_done
    assert outcomes["recut"] >= 1
    assert outcomes["lost"] >= 1
    assert outcomes[None] == 0
    assert view.tally.chunks_total > fleet.planned
    assert fleet.late_refused >= outcomes["recut"]
