"""Keep the right number of scan workers dispatched: one step, to be done again and again by one process at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cloudx.domain.dispatch.actions import decide
from cloudx.domain.dispatch.states import (
    SOON_SECONDS,
    Child,
    Decision,
    Demand,
    Dispatch,
    Outcome,
    Picture,
    Placement,
)
from cloudx.domain.errors import CloudxError
from cloudx.domain.tools import ScanType
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.fleet.fit import FitCount
from cloudx.services.ledger.dispatches import DispatchBook, OpenScan
from cloudx.services.ledger.ledger import OpenLedger

from .ports import Ending, ScanJobs

ROOM_SECONDS = 0.5  # who waits longer for a machine is asked about
START_SECONDS = 5.0  # who has one, and does not run after them, waits for something (Vault, an image)
MAX_ROUNDS = 5  # how one ended decides what comes next, so a step may take more than one look


@dataclass(frozen=True)
class DispatchScans:
    """The use case with what it needs. A death between any two of its writes loses nothing and doubles nothing.

    A row is written before Nomad is asked, and Nomad is asked with the row's token: who comes after a crash finds the
    row, asks again, and gets the job that is there already.
    """

    open_ledger: OpenLedger
    jobs: ScanJobs
    count_fit: Callable[[ScanType], FitCount]
    machines: dict[str, str] = field(default_factory=dict)  # where each worker runs, as last asked

    def __call__(self, look_for_strays: bool = False) -> bool:
        """Look, and do what follows; False when there was nothing to look after. Raises CloudxError."""
        for _ in range(MAX_ROUNDS):
            book = self._book()
            if book.is_idle and not look_for_strays:
                return False
            try:
                decision = decide(self._picture(book))
                self._follow(decision)
            except CloudxError as error:
                self._say_why(book, error)
                raise
            if not decision.examine:
                break
        return not book.is_idle

    def _book(self) -> DispatchBook:
        with self.open_ledger(read_only=True) as ledger:
            return ledger.dispatches.book()

    def _picture(self, book: DispatchBook) -> Picture:
        children = self.jobs.children()
        return Picture(
            now=book.now,
            demands=[self._demand(scan) for scan in book.scans],
            dispatches=book.dispatches,
            children=children,
            no_room=self.jobs.no_room() if _late(book, children, Placement.WAITING, ROOM_SECONDS) else {},
            slow_starts=self._slow_starts(book, children),
            misplaced=self._misplaced(book, children),
            leaving=book.leaving,
        )

    def _misplaced(self, book: DispatchBook, children: Sequence[Child]) -> frozenset[str]:
        """Only where there is an unfit node at all, and only for news: a worker never moves."""
        unfit = {scan.scan_id: self.count_fit(scan.type).unfit for scan in book.scans}
        scans = {row.token: row.scan_id for row in book.dispatches if unfit.get(row.scan_id)}
        running = [c for c in children if c.placement is Placement.RUNNING and c.token in scans]
        if any(child.nomad_job_id not in self.machines for child in running):
            self.machines.clear()
            self.machines.update(self.jobs.machines())
        return frozenset(
            child.nomad_job_id
            for child in running
            if self.machines.get(child.nomad_job_id) in unfit[scans[child.token]]
        )

    def _slow_starts(self, book: DispatchBook, children: Sequence[Child]) -> dict[str, str]:
        """One of each scan is asked about: the others wait for the same."""
        open_scans = {scan.scan_id for scan in book.scans}
        late = _late(book, children, Placement.STARTING, START_SECONDS)
        of_scan = {scan_id: child for scan_id, child in reversed(late) if scan_id in open_scans}
        said = {child.nomad_job_id: self.jobs.last_words(child.nomad_job_id) for child in of_scan.values()}
        return {job_id: words for job_id, words in said.items() if words}

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

    def _follow(self, decision: Decision) -> None:
        for row, job_id in decision.record:
            self._mark_sent(row, job_id)
        for row in decision.examine:
            self._end_as_nomad_says(row)
        for row in decision.cancel:
            self._end(row, Outcome.UNNEEDED)
        for row, job_id, outcome in decision.stop:
            self.jobs.stop(job_id)
            self._end(row, outcome)
        for job_id in decision.stray:
            self.jobs.stop(job_id)
        self._explain(decision.explain)
        self._send([*decision.send, *self._reserve(decision)], decision.place_together)

    def _send(self, rows: Sequence[Dispatch], together: int) -> None:
        for first in range(0, len(rows), together):
            sent = [self._sent(row) for row in rows[first : first + together]]
            self.jobs.wait_until_placed(sent)

    def _sent(self, row: Dispatch) -> str:
        job_id = self.jobs.dispatch(row.scan_id, row.token)
        self._mark_sent(row, job_id)
        return job_id

    def _reserve(self, decision: Decision) -> list[Dispatch]:
        if not decision.reserve:
            return []
        with self.open_ledger() as ledger:
            rows = [ledger.dispatches.reserve(scan_id, uuid.uuid4().hex) for scan_id in decision.reserve]
            ledger.commit()
            return rows

    def _mark_sent(self, row: Dispatch, job_id: str) -> None:
        with self.open_ledger() as ledger:
            ledger.dispatches.mark_sent(row, job_id)
            ledger.commit()

    def _end(self, row: Dispatch, outcome: Outcome) -> None:
        with self.open_ledger() as ledger:
            ledger.dispatches.end(row, outcome)
            ledger.commit()

    def _end_as_nomad_says(self, row: Dispatch) -> None:
        ending = self.jobs.ending(row.nomad_job_id) if row.nomad_job_id else Ending(Outcome.GONE)
        with self.open_ledger() as ledger:
            if ending.worker_id and ending.is_dead:
                ledger.dispatches.give_up_leases(row.scan_id, ending.worker_id)
            lived = ledger.now() - (row.sent_at or row.created_at)
            if ending.outcome is Outcome.FINISHED and lived < timedelta(seconds=SOON_SECONDS):
                ran = ending.worker_id is None or ledger.dispatches.has_run(row.scan_id, ending.worker_id)
                ending = ending if ran else replace(ending, outcome=Outcome.IDLE)
            ledger.dispatches.end(row, ending.outcome, ending.detail)
            ledger.commit()
        if ending.is_dead:
            reconcile_scans(self.open_ledger)

    def _explain(self, reasons: dict[str, str | None]) -> None:
        if not reasons:
            return
        with self.open_ledger() as ledger:
            for scan_id, reason in reasons.items():
                ledger.dispatches.explain(scan_id, reason)
            ledger.commit()

    def _say_why(self, book: DispatchBook, error: CloudxError) -> None:
        """In each scan that waits for workers; the ledger itself may be what failed."""
        waiting = [scan for scan in book.scans if scan.pending and scan.waiting_reason != error.message]
        try:
            self._explain({scan.scan_id: error.message for scan in waiting})
        except CloudxError:
            return


def _late(
    book: DispatchBook, children: Sequence[Child], placement: Placement, seconds: float
) -> list[tuple[str, Child]]:
    """Those that are there for longer than it takes, with their scan."""
    long_ago = book.now - timedelta(seconds=seconds)
    rows = {row.token: row for row in book.dispatches}
    there = [(rows[child.token], child) for child in children if child.placement is placement and child.token in rows]
    return [(row.scan_id, child) for row, child in there if (row.sent_at or row.created_at) < long_ago]
