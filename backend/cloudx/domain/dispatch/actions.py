"""Plan which scan workers to start and to end, from what the ledger and Nomad say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from math import isqrt

from .scan_workers import ScanWorkers, Worker
from .states import Actions, Child, Demand, Dispatch, DispatchOutcome, DispatchState, Observed, Placement

IN_FLIGHT_LIMIT = 32  # dispatched and not running yet, over all scans: Nomad holds them in memory


def plan_actions(observed: Observed) -> Actions:
    """What to do now. Repeated at any time, even after a crash halfway, the plan leads to the same workers."""
    return _Planner(observed).actions()


def count_together(fit_nodes: int) -> int:
    """How many workers may be placed at once, so that few of them meet on one machine.

    Nomad places jobs side by side, none of which sees the others: of k on n free machines about k²/2n meet. With half
    the root of n that is an eighth of one each time. Once they have a place the next ones see them, and go elsewhere.
    """
    return max(1, isqrt(fit_nodes) // 2)


class _Planner:
    """Builds one plan."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._open = [row for row in observed.dispatches if row.state is not DispatchState.ENDED]
        self._children: dict[str, Child] = {}
        for child in observed.children:
            self._children.setdefault(child.token, child)
        self._stop: list[tuple[Dispatch, str, DispatchOutcome]] = []
        self._send: list[Dispatch] = []
        self._reserve: list[str] = []
        self._cancel: list[Dispatch] = []

    def actions(self) -> Actions:
        self._end_workers_of_ended_scans()
        scans = [self._scan_workers(demand) for demand in self._observed.demands]
        for scan in scans:
            self._withdraw(scan, [*self._out_of_patience(scan), *scan.surplus, *scan.too_late])
        self._start_workers(scans)
        return Actions(
            record=tuple(self._unrecorded()),
            examine=tuple(row for row in self._open if row.state is DispatchState.SENT and not self._child(row)),
            cancel=tuple(self._cancel),
            stop=tuple(self._stop),
            stray=tuple(self._strays()),
            send=tuple(self._send),
            reserve=tuple(self._reserve),
            place_together=count_together(min((demand.fit_nodes for demand in self._observed.demands), default=0)),
            waiting_reasons=dict(self._reasons(scans)),
        )

    def _unrecorded(self) -> Iterable[tuple[Dispatch, str]]:
        for row in self._open:
            child = self._child(row)
            if child and row.nomad_job_id != child.nomad_job_id:
                yield row, child.nomad_job_id

    def _strays(self) -> Iterable[str]:
        """Jobs with a token that no row knows. A job dispatched by hand has no token and is left alone."""
        known = {child.nomad_job_id for row in self._open if (child := self._child(row))}
        return (c.nomad_job_id for c in self._observed.children if c.token and c.nomad_job_id not in known)

    def _child(self, row: Dispatch) -> Child | None:
        return self._children.get(row.token)

    def _end_workers_of_ended_scans(self) -> None:
        demanding = {demand.scan_id for demand in self._observed.demands}
        for row in self._open:
            if row.scan_id in demanding:
                continue
            child = self._child(row)
            if child is None and row.state is DispatchState.RESERVED:
                self._cancel.append(row)
            elif child is not None and row.scan_id not in self._observed.leaving:
                self._stop.append((row, child.nomad_job_id, DispatchOutcome.STOPPED))

    def _scan_workers(self, demand: Demand) -> ScanWorkers:
        mine = [row for row in self._observed.dispatches if row.scan_id == demand.scan_id]
        history = [row for row in mine if row.state is DispatchState.ENDED]
        workers = [self._worker(row) for row in mine if row.state is not DispatchState.ENDED]
        over = [w for w in workers if w.row.state is DispatchState.SENT and w.child is None]
        return ScanWorkers(demand, [w for w in workers if w not in over], history, has_unexamined=bool(over))

    def _worker(self, row: Dispatch) -> Worker:
        child = self._child(row)
        return Worker(row, child, child is not None and child.nomad_job_id in self._observed.misplaced)

    def _unplaced(self, scan: ScanWorkers) -> list[Worker]:
        waiting = [w for w in scan.workers if w.child and w.placement is Placement.WAITING]
        return [w for w in waiting if w.child and w.child.nomad_job_id in self._observed.no_room]

    def _out_of_patience(self, scan: ScanWorkers) -> list[Worker]:
        """Workers that have waited for room too long: dispatched again, they get the job file as it is by then."""
        asked_before = self._observed.now - timedelta(seconds=scan.patience_seconds)
        return [w for w in self._unplaced(scan) if (w.row.sent_at or w.row.created_at) < asked_before]

    def _withdraw(self, scan: ScanWorkers, workers: Iterable[Worker]) -> None:
        for worker in dict.fromkeys(workers):
            scan.workers.remove(worker)
            if worker.child is None:
                self._cancel.append(worker.row)
                continue
            unplaced = worker.child.nomad_job_id in self._observed.no_room
            outcome = DispatchOutcome.NO_ROOM if unplaced else DispatchOutcome.STOPPED
            self._stop.append((worker.row, worker.child.nomad_job_id, outcome))
            # From here on it counts as history.
            ended = replace(worker.row, state=DispatchState.ENDED, ended_at=self._observed.now, outcome=outcome)
            scan.history.append(ended)

    def _start_workers(self, scans: list[ScanWorkers]) -> None:
        """Start workers in the scans' order. At the fleet's limit, unplaced workers of later scans give way."""
        budget = IN_FLIGHT_LIMIT - sum(len(scan.in_flight) for scan in scans)
        for place, scan in enumerate(scans):
            self._send += [worker.row for worker in scan.unasked]
            wanted = self._may_start(scan)
            for later in reversed(scans[place + 1 :]):
                evicted = self._unplaced(later)[: max(0, wanted - budget)]
                self._withdraw(later, evicted)
                budget += len(evicted)
            started = max(0, min(wanted, budget))
            self._reserve += [scan.demand.scan_id] * started
            budget -= started

    def _may_start(self, scan: ScanWorkers) -> int:
        back_off = scan.back_off()
        if scan.has_unexamined or (back_off is not None and self._observed.now < back_off[1]):
            return 0
        if self._unplaced(scan) or scan.unplaced_waves:
            return min(
                scan.missing, max(0, 1 - len(scan.in_flight))
            )  # one waiting worker shows when there is room again
        return scan.missing

    def _reasons(self, scans: list[ScanWorkers]) -> Iterable[tuple[str, str | None]]:
        for scan in scans:
            reason = self._reason(scan)
            if reason != scan.demand.waiting_reason:
                yield scan.demand.scan_id, reason

    def _reason(self, scan: ScanWorkers) -> str | None:
        """Why a scan does not go faster; None if it runs at full speed."""
        demand = scan.demand
        if demand.pending == 0:
            return None
        if demand.fit_nodes == 0:
            return demand.why_unfit
        if reasons := [self._observed.no_room[w.child.nomad_job_id] for w in self._unplaced(scan) if w.child]:
            return f"Nomad has no room for {_workers(scan.missing + len(scan.in_flight))} more: {reasons[0]}."
        if slow := [w for w in scan.workers if w.child and w.child.nomad_job_id in self._observed.slow_starts]:
            return _slow_start(self._observed.slow_starts, slow)
        if scan.unplaced_waves:
            return demand.waiting_reason  # a worker was withdrawn and is dispatched again
        back_off = scan.back_off()
        if back_off is not None and scan.missing:
            last, again_at = back_off
            words = f" ({last.detail})" if last.detail else ""
            return (
                f"A worker ended before it ran anything{words}; the next one starts at {again_at:%H:%M:%S} UTC. "
                f"`nomad job status {last.nomad_job_id}` tells more."
            )
        return None


def _slow_start(words: dict[str, str], slow: list[Worker]) -> str:
    jobs = [worker.child.nomad_job_id for worker in slow if worker.child]
    return f"{_workers(len(jobs))} cannot start yet: {words[jobs[0]]}. `nomad job status {jobs[0]}` tells more."


def _workers(count: int) -> str:
    return f"{count} worker" + ("" if count == 1 else "s")
