"""Keep the right number of scan workers dispatched: one step, repeated by one process at a time."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cloudx.domain.dispatch.actions import plan_actions
from cloudx.domain.dispatch.states import (
    SOON_SECONDS,
    Actions,
    Child,
    Demand,
    Dispatch,
    DispatchOutcome,
    DispatchState,
    Observed,
    Placement,
)
from cloudx.domain.errors import CloudxError, Conflict
from cloudx.domain.tools import ScanType
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.fleet.fit import FitCount
from cloudx.services.ledger.dispatches import DispatchSnapshot, OpenScan
from cloudx.services.ledger.ledger import OpenLedger

from .ports import Ending, ScanJobs

ROOM_SECONDS = 0.5  # Nomad is asked why a worker waits longer for a machine
START_SECONDS = 5.0  # a placed worker that does not run by then waits for something (Vault, an image)
MAX_ROUNDS = 5  # an ended worker's outcome decides what comes next, so a step may look again


@dataclass(frozen=True)
class DispatchScans:
    """Dispatch scan workers. A crash between any two of its writes loses nothing and doubles nothing.

    A row is written before the dispatch, and the dispatch carries the row's token. After a crash the next step finds
    the row, dispatches again with the same token, and gets the job that is there already.
    """

    open_ledger: OpenLedger
    jobs: ScanJobs
    count_fit: Callable[[ScanType], FitCount]
    _machines: dict[str, str] = field(default_factory=dict)  # where each worker runs, as Nomad last answered

    def __call__(self, look_for_strays: bool = False) -> bool:
        """Observe, plan actions, carry them out; False if there was nothing to do. Raises CloudxError."""
        for _ in range(MAX_ROUNDS):
            snapshot = self._snapshot()
            if snapshot.is_idle and not look_for_strays:
                return False
            try:
                actions = plan_actions(self._observe(snapshot, look_for_strays))
                self._carry_out(actions, snapshot)
            except CloudxError as error:
                self._tell_waiting_scans(snapshot, error)
                raise
            if not actions.examine:
                break
        return not snapshot.is_idle

    def _snapshot(self) -> DispatchSnapshot:
        with self.open_ledger(read_only=True) as ledger:
            return ledger.dispatches.snapshot()

    def _observe(self, snapshot: DispatchSnapshot, look_for_strays: bool) -> Observed:
        # A job that no row names yet is found by dispatching again: its token gives the same job.
        named = [row.nomad_job_id for row in snapshot.dispatches if row.nomad_job_id]
        children = self.jobs.children(None if look_for_strays else named)
        waiting = [child.nomad_job_id for _, child in _late(snapshot, children, Placement.WAITING, ROOM_SECONDS)]
        return Observed(
            now=snapshot.now,
            demands=[self._demand(scan) for scan in snapshot.scans],
            dispatches=snapshot.dispatches,
            children=children,
            no_room=self.jobs.no_room(waiting),
            slow_starts=self._slow_starts(snapshot, children),
            misplaced=self._misplaced(snapshot, children),
            leaving=snapshot.leaving,
        )

    def _misplaced(self, snapshot: DispatchSnapshot, children: Sequence[Child]) -> frozenset[str]:
        """Asks Nomad only if there are unfit nodes, and only about new workers: a worker never moves."""
        unfit = {scan.scan_id: self.count_fit(scan.type).unfit for scan in snapshot.scans}
        scans = {row.token: row.scan_id for row in snapshot.dispatches if unfit.get(row.scan_id)}
        running = [c for c in children if c.placement is Placement.RUNNING and c.token in scans]
        job_ids = {child.nomad_job_id for child in running}
        for gone in self._machines.keys() - job_ids:
            del self._machines[gone]
        self._machines.update(self.jobs.machines(job_ids - self._machines.keys()))
        return frozenset(
            child.nomad_job_id
            for child in running
            if self._machines.get(child.nomad_job_id) in unfit[scans[child.token]]
        )

    def _slow_starts(self, snapshot: DispatchSnapshot, children: Sequence[Child]) -> dict[str, str]:
        """Looks into one worker of each scan: the others wait for the same thing."""
        open_scans = {scan.scan_id for scan in snapshot.scans}
        late = _late(snapshot, children, Placement.STARTING, START_SECONDS)
        of_scan = {scan_id: child for scan_id, child in reversed(late) if scan_id in open_scans}
        events = {child.nomad_job_id: self.jobs.last_words(child.nomad_job_id) for child in of_scan.values()}
        return {job_id: words for job_id, words in events.items() if words}

    def _demand(self, scan: OpenScan) -> Demand:
        fit = self.count_fit(scan.type)
        return Demand(
            scan_id=scan.scan_id,
            pending=scan.pending,
            leased=scan.leased,
            fit_nodes=fit.nodes,
            max_workers=scan.max_workers,
            why_unfit=fit.why_none,
            waiting_reason=scan.waiting_reason,
        )

    def _carry_out(self, actions: Actions, snapshot: DispatchSnapshot) -> None:
        for row, job_id in actions.record:
            self._mark_sent(row, job_id)
        for row in actions.examine:
            self._end_as_nomad_says(row)
        for row in actions.cancel:
            self._end(row, DispatchOutcome.UNNEEDED)
        for row, job_id, outcome in actions.stop:
            self.jobs.stop(job_id)
            self._end(row, outcome)
        for child in self._strays(actions):
            self.jobs.stop(child.nomad_job_id)
        self._set_waiting_reasons(actions.waiting_reasons)
        self._send([*actions.send, *self._reserve(actions, snapshot)], actions.place_together)

    def _strays(self, actions: Actions) -> list[Child]:
        """Looks again: the leader before this one may have written a row and dispatched it since the first look."""
        rows = self._snapshot().dispatches if actions.stray else ()
        jobs = {row.token: row.nomad_job_id for row in rows if row.state is not DispatchState.ENDED}
        return [
            child
            for child in actions.stray
            if child.token not in jobs or jobs[child.token] not in (None, child.nomad_job_id)
        ]

    def _send(self, rows: Sequence[Dispatch], together: int) -> None:
        for first in range(0, len(rows), together):
            sent = [self._sent(row) for row in rows[first : first + together]]
            self.jobs.wait_until_placed(sent)

    def _sent(self, row: Dispatch) -> str:
        job_id = self.jobs.dispatch(row.scan_id, row.token)
        self._mark_sent(row, job_id)
        return job_id

    def _reserve(self, actions: Actions, snapshot: DispatchSnapshot) -> list[Dispatch]:
        """A leader that lost its session in the middle of a step finds these numbers taken, and writes nothing."""
        if not actions.reserve:
            return []
        serials: Counter[str] = Counter()  # the last of each scan
        for row in snapshot.dispatches:
            serials[row.scan_id] = max(serials[row.scan_id], row.serial)
        with suppress(Conflict), self.open_ledger() as ledger:
            rows: list[Dispatch] = []
            for scan_id in actions.reserve:
                serials[scan_id] += 1
                rows.append(ledger.dispatches.reserve(scan_id, serials[scan_id], uuid.uuid4().hex))
            ledger.commit()
            return rows
        return []

    def _mark_sent(self, row: Dispatch, job_id: str) -> None:
        with self.open_ledger() as ledger:
            ledger.dispatches.mark_sent(row, job_id)
            ledger.commit()

    def _end(self, row: Dispatch, outcome: DispatchOutcome) -> None:
        with self.open_ledger() as ledger:
            ledger.dispatches.end(row, outcome)
            ledger.commit()

    def _end_as_nomad_says(self, row: Dispatch) -> None:
        ending = self.jobs.ending(row.nomad_job_id) if row.nomad_job_id else Ending(DispatchOutcome.GONE)
        with self.open_ledger() as ledger:
            if ending.worker_id and ending.is_dead:
                ledger.dispatches.give_up_leases(row.scan_id, ending.worker_id)
            lived = ledger.now() - (row.sent_at or row.created_at)
            if ending.outcome is DispatchOutcome.FINISHED and lived < timedelta(seconds=SOON_SECONDS):
                ran = ending.worker_id is None or ledger.dispatches.has_run(row.scan_id, ending.worker_id)
                ending = ending if ran else replace(ending, outcome=DispatchOutcome.IDLE)
            ledger.dispatches.end(row, ending.outcome, ending.detail)
            ledger.commit()
        if ending.is_dead:
            reconcile_scans(self.open_ledger)

    def _set_waiting_reasons(self, reasons: dict[str, str | None]) -> None:
        if not reasons:
            return
        with self.open_ledger() as ledger:
            for scan_id, reason in reasons.items():
                ledger.dispatches.set_waiting_reason(scan_id, reason)
            ledger.commit()

    def _tell_waiting_scans(self, snapshot: DispatchSnapshot, error: CloudxError) -> None:
        """Set the error as the reason of each scan that waits for workers; the ledger itself may be what failed."""
        waiting = [scan for scan in snapshot.scans if scan.pending and scan.waiting_reason != error.message]
        try:
            self._set_waiting_reasons({scan.scan_id: error.message for scan in waiting})
        except CloudxError:
            return


def _late(
    snapshot: DispatchSnapshot, children: Sequence[Child], placement: Placement, seconds: float
) -> list[tuple[str, Child]]:
    """Children that stay in a placement for longer than usual, with their scan."""
    long_ago = snapshot.now - timedelta(seconds=seconds)
    rows = {row.token: row for row in snapshot.dispatches}
    there = [(rows[child.token], child) for child in children if child.placement is placement and child.token in rows]
    return [(row.scan_id, child) for row, child in there if (row.sent_at or row.created_at) < long_ago]
