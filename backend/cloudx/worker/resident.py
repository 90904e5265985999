"""The resident worker: keeps the machine busy with chunks, renews their leases, and releases them when it leaves."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from cloudx.domain.backoff import Backoff
from cloudx.domain.chunks import RENEW_SECONDS
from cloudx.domain.errors import CloudxError
from cloudx.domain.nodes import Check, CheckStatus
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.queue import Claimant
from cloudx.services.chunks.reconcile import RECONCILE_SECONDS, reconcile_scans
from cloudx.services.chunks.renew import RenewalResult, RenewLeases, RunState
from cloudx.services.scans.view import is_over
from cloudx.services.search.take_in import TAKE_IN_SECONDS, TakeIn

from .claim_pacing import ClaimPacing
from .hear_work import HearWork
from .run_chunk import ChunkRun, RunContext
from .run_times import lease_clock

if TYPE_CHECKING:
    from .node_agent import NodeAgent

SENDING_SLOTS = 4  # of one scan
# Before a run has sent everything, its grant is freed and the next chunk claimed. The claim, the look-up of the egress
# and the scanner's start take the time that is left, so that the next run's first packet follows this run's last one.
HANDOVER_SECONDS = 0.25
MAX_RUNS_OF_A_SCAN = 12  # including those that only wait for late replies
MAX_RUNS = 16  # the others are for other scans
IDLE_SECONDS = 0.1  # between the first polls of a worker without work; each later pause is longer by the factor
IDLE_FACTOR = 1.5
MAX_IDLE_SECONDS = 0.5  # for a shared database; a local file may be polled more often
CANARY_SECONDS = 1.0  # between two questions whether the last look is still fresh
FENCE_SECONDS = 0.25
WORKER_LEAVE_SECONDS = 8.0  # within Nomad's and Docker's usual grace
ENDING_SECONDS = 1.0  # a run that ends within them is not worth sending its probes again
LAST_SECONDS = 2.0  # of WORKER_LEAVE_SECONDS, for releasing what could not be finished

T = TypeVar("T")
log = structlog.get_logger()


class ResidentWorker:
    """Claims and runs chunks until it is stopped, or until its one scan is over."""

    def __init__(
        self,
        claimant: Claimant,
        claim_chunk: ClaimChunk,
        renew_leases: RenewLeases,
        context: RunContext,
        agent: NodeAgent | None,
        is_fit: Callable[[], bool],
        canaries: Callable[[], Check],
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
        *,
        reconciles: bool = False,
        hear_work: HearWork | None = None,
    ) -> None:
        """`reconciles` is for a local file: on a server the API does, since a worker's login may not.

        With `hear_work`, a worker that found no scan to take part in rests until it is called.
        """
        self._claimant = claimant
        self._claim_chunk = claim_chunk
        self._renew_leases = renew_leases
        self._context = context
        self._agent = agent
        self._is_fit = is_fit
        self._canaries = canaries
        self._renew_seconds = renew_seconds
        self._reconciles = reconciles
        self._hear_work = hear_work
        self._rest_seconds = 0.0  # after a look that finds no scan
        self._polling = Backoff(IDLE_SECONDS, max_idle_seconds, factor=IDLE_FACTOR)
        self._pacing = ClaimPacing(max_idle_seconds)
        self._runs: list[ChunkRun] = []
        self._changed = threading.Event()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin to leave; safe in a signal handler."""
        self._stopping.set()
        self._changed.set()

    def run(self) -> int:
        """Work until stopped; the exit code."""
        background = [self._renew_until, self._fence_until, self._listen_until]
        if self._reconciles:
            background += [self._reconcile_until, self._take_in_until]
        if self._agent is not None:  # under Nomad, an agent of its own reports the machine
            background.append(self._agent.run_until)
        threads = [threading.Thread(target=work, args=(self._stopping,), daemon=True) for work in background]
        for thread in threads:
            thread.start()
        if self._hear_work is not None:  # not joined: its question may take a while to be answered
            hear = self._hear_work.run_until
            threading.Thread(target=hear, args=(self._stopping, self._changed.set), daemon=True).start()
        try:
            return self._claim_until_done()
        finally:
            self._leave()
            for thread in threads:
                thread.join(WORKER_LEAVE_SECONDS)

    def _claim_until_done(self) -> int:
        idle_polls = 0
        while not self._stopping.is_set():
            self._changed.clear()
            if self._claim_next():
                idle_polls = 0
                continue
            if self._only_scan_is_over():
                return 0
            idle_polls += 1
            self._changed.wait(min(self._pause_seconds(idle_polls), self._seconds_to_handover()))
        return 0

    def _pause_seconds(self, idle_polls: int) -> float:
        """Before the next look; one that hears of work may rest, longer in a larger fleet."""
        rest_seconds = self._claim_chunk.rest_of(self._claimant, self._rest_seconds) if idle_polls > 1 else 0.0
        return max(rest_seconds, self._polling.seconds_after(idle_polls))

    def _claim_next(self) -> bool:
        self._runs, self._rest_seconds = [run for run in self._runs if not run.is_over], 0.0
        self._free_grants()
        sated = self._sated()
        if len(self._runs) >= MAX_RUNS or self._claimant.only_scan in sated or not self._is_fit():
            return False
        if self._hear_work and not self._runs:
            self._rest_seconds = self._hear_work.rest_seconds()
        requested_at = lease_clock()
        claim = _tolerate(lambda: self._claim_chunk(self._claimant, sated, self._rest_seconds), "worker.claim_failed")
        if claim is None:
            return False
        self._pacing.claimed()
        ending = [run for run in self._runs if run.grant_freed and run.is_sending]
        run = ChunkRun(claim, self._context, self._changed.set, requested_at, ending)
        self._runs = [*self._runs, run]
        run.start()
        return True

    def _sated(self) -> set[str]:
        """The scans of which it has enough for now: as many runs as may be, or its share of what others wait for."""
        sending = Counter(run.claim.scan.id for run in self._runs if not run.grant_freed)
        runs = Counter(run.claim.scan.id for run in self._runs)
        sated = {scan_id for scan_id, count in sending.items() if count >= SENDING_SLOTS}
        sated |= {scan_id for scan_id, count in runs.items() if count >= MAX_RUNS_OF_A_SCAN}
        if self._pacing.must_wait([run.claim.scan.tool for run in self._runs if not run.grant_freed]):
            sated |= set(sending)
        return sated

    def _free_grants(self) -> None:
        """Free the grants of runs that have sent everything or will have in a moment, for the next chunk."""
        freed = [r for r in self._runs if not r.grant_freed and not r.is_over and r.ends_within(HANDOVER_SECONDS)]
        for run in freed:
            run.grant_freed = True
        self._renew(freed)

    def _seconds_to_handover(self) -> float:
        """Seconds until the first run is about to end."""
        ends = [run.progress.ends_at for run in self._runs if not run.grant_freed]
        soonest = min((moment for moment in ends if moment is not None), default=math.inf)
        return max(0.0, soonest - time.monotonic() - HANDOVER_SECONDS)

    def _only_scan_is_over(self) -> bool:
        scan_id = self._claimant.only_scan
        if scan_id is None or self._runs:
            return False
        try:
            return is_over(self._context.open_ledger, scan_id)
        except CloudxError:
            return False  # the database is away: try again

    def _renew_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._renew_seconds):
            self._renew([run for run in self._runs if not run.is_over and not run.is_committing])

    def _renew(self, runs: list[ChunkRun]) -> None:
        """Renew in one statement for all runs: a fleet renews thousands of leases in a second."""
        requested_at, states = lease_clock(), [_state(run) for run in runs]
        results = _tolerate(lambda: self._renew_leases(states), "worker.renewal_failed")
        for run, result in zip(runs, results, strict=True) if results is not None else ():
            if result is RenewalResult.GO_ON:
                run.renewed(requested_at)
            else:
                run.apply(result)

    def _fence_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(FENCE_SECONDS):  # a thread of its own: a renewal may hang for as long as a connection
            for run in self._runs:
                run.self_fence()

    def _reconcile_until(self, stopping: threading.Event) -> None:
        while not stopping.wait(RECONCILE_SECONDS):
            _tolerate(lambda: reconcile_scans(self._context.open_ledger), "worker.reconcile_failed")

    def _take_in_until(self, stopping: threading.Event) -> None:
        take_in = TakeIn(self._context.open_ledger)
        while not stopping.wait(TAKE_IN_SECONDS):
            _tolerate(take_in, "worker.take_in_failed")

    def _listen_until(self, stopping: threading.Event) -> None:
        """Give up the runs of a machine that no canary answers: what they scan now would look closed."""
        while not stopping.wait(CANARY_SECONDS):
            if not any(run.is_sending for run in self._runs):
                continue
            check = self._canaries()
            for run in self._runs if check.status is CheckStatus.CRITICAL else ():
                run.give_up(check.output)

    def _leave(self) -> None:
        """Release the chunks that still send; those that have almost sent everything may finish and be committed."""
        self._stopping.set()
        deadline = time.monotonic() + WORKER_LEAVE_SECONDS
        for run in self._runs:
            if not run.ends_within(ENDING_SECONDS):
                run.apply(RenewalResult.RELEASE)
        for run in self._runs:
            run.join(max(0.0, deadline - LAST_SECONDS - time.monotonic()))
            run.apply(RenewalResult.RELEASE)
        for run in self._runs:
            run.join(max(0.1, deadline - time.monotonic()))


def _state(run: ChunkRun) -> RunState:
    progress = run.progress
    return RunState(run.claim, progress.sent_share, sending=not progress.sending_done and not run.grant_freed)


def _tolerate(call: Callable[[], T], event: str) -> T | None:
    """The call's result, or None after an error, which is logged: the caller tries again soon."""
    try:
        return call()
    except CloudxError as error:
        log.warning(event, reason=error.message)
    except Exception:
        log.exception(event)
    return None
