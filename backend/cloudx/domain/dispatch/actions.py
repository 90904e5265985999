"""Plan which scan workers to start and to end, from what the ledger and Nomad know. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import isqrt

from .scan_workers import End, ScanWorkers, Worker
from .states import Actions, Child, Demand, Dispatch, DispatchOutcome, DispatchState, Observed

IN_FLIGHT_LIMIT = 32  # dispatched and not running yet, over all scans: Nomad holds them in memory


def plan_actions(observed: Observed) -> Actions:
    """What to do now. Repeated at any time, even after a crash halfway, the plan leads to the same workers."""
    children = _by_token(observed.children)
    rows = [row for row in observed.dispatches if row.state is not DispatchState.ENDED]
    by_scan = [_scan_workers(demand, observed, children) for demand in observed.demands]
    ends = [*_ends_of_ended_scans(observed, rows, children), *_withdraw(by_scan, observed.now)]
    send, reserve, evicted = _starts(by_scan, observed.now)
    ends += evicted
    return Actions(
        record=tuple(_unrecorded(rows, children)),
        examine=tuple(row for row in rows if row.state is DispatchState.SENT and row.token not in children),
        cancel=tuple(worker.row for worker, _ in ends if worker.child is None),
        stop=tuple((worker.row, worker.child.nomad_job_id, outcome) for worker, outcome in ends if worker.child),
        stray=tuple(_strays(observed.children, rows, children)),
        send=tuple(send),
        reserve=tuple(reserve),
        place_together=count_together(min((demand.fit_nodes for demand in observed.demands), default=0)),
        waiting_reasons=_changed_reasons(by_scan),
    )


def count_together(fit_nodes: int) -> int:
    """How many workers may be placed at once, so that few of them meet on one machine.

    Nomad places jobs side by side, none of which sees the others: of k on n free machines about k²/2n meet. With half
    the root of n that is an eighth of one each time. Once they have a place the next ones see them, and go elsewhere.
    """
    return max(1, isqrt(fit_nodes) // 2)


def _by_token(children: Sequence[Child]) -> dict[str, Child]:
    """Of children with one token the first counts; the others are strays."""
    by_token: dict[str, Child] = {}
    for child in children:
        by_token.setdefault(child.token, child)
    return by_token


def _scan_workers(demand: Demand, observed: Observed, children: Mapping[str, Child]) -> ScanWorkers:
    rows = [row for row in observed.dispatches if row.scan_id == demand.scan_id]
    history = [row for row in rows if row.state is DispatchState.ENDED]
    workers = [_worker(row, observed, children) for row in rows if row.state is not DispatchState.ENDED]
    unexamined = [worker for worker in workers if worker.row.state is DispatchState.SENT and worker.child is None]
    workers = [worker for worker in workers if worker not in unexamined]
    return ScanWorkers(demand, workers, history, has_unexamined=bool(unexamined))


def _worker(row: Dispatch, observed: Observed, children: Mapping[str, Child]) -> Worker:
    child = children.get(row.token)
    if child is None:
        return Worker(row)
    job_id = child.nomad_job_id
    return Worker(
        row,
        child,
        is_misplaced=job_id in observed.misplaced,
        no_room=observed.no_room.get(job_id),
        slow_start=observed.slow_starts.get(job_id),
    )


def _unrecorded(rows: Sequence[Dispatch], children: Mapping[str, Child]) -> Iterable[tuple[Dispatch, str]]:
    for row in rows:
        child = children.get(row.token)
        if child and row.nomad_job_id != child.nomad_job_id:
            yield row, child.nomad_job_id


def _strays(all_children: Sequence[Child], rows: Sequence[Dispatch], children: Mapping[str, Child]) -> Iterable[Child]:
    """Jobs with a token that no row knows. A job dispatched by hand has no token and is left alone."""
    known = {children[row.token].nomad_job_id for row in rows if row.token in children}
    return (child for child in all_children if child.token and child.nomad_job_id not in known)


def _ends_of_ended_scans(observed: Observed, rows: Sequence[Dispatch], children: Mapping[str, Child]) -> Iterable[End]:
    """The workers of a scan that was stopped or deleted; those of a completed scan leave by themselves."""
    demanding = {demand.scan_id for demand in observed.demands}
    for row in rows:
        if row.scan_id in demanding:
            continue
        child = children.get(row.token)
        if child is None and row.state is DispatchState.RESERVED:
            yield Worker(row), DispatchOutcome.UNNEEDED
        elif child is not None and row.scan_id not in observed.leaving:
            yield Worker(row, child), DispatchOutcome.STOPPED


def _withdraw(by_scan: Sequence[ScanWorkers], now: datetime) -> Iterable[End]:
    for scan_workers in by_scan:
        needless = [*scan_workers.out_of_patience(now), *scan_workers.surplus, *scan_workers.too_late]
        yield from scan_workers.withdraw(needless, now)


def _starts(by_scan: Sequence[ScanWorkers], now: datetime) -> tuple[list[Dispatch], list[str], list[End]]:
    """(rows to send, scans to reserve rows for, workers that give way), in the order in which scans are served.

    At the fleet's limit, unplaced workers of later scans give way, those of the last scan first.
    """
    send: list[Dispatch] = []
    reserve: list[str] = []
    evicted: list[End] = []
    budget = IN_FLIGHT_LIMIT - sum(len(scan_workers.in_flight) for scan_workers in by_scan)
    for place, scan_workers in enumerate(by_scan):
        send += [worker.row for worker in scan_workers.unsent]
        wanted = scan_workers.startable(now)
        for later in reversed(by_scan[place + 1 :]):
            giving_way = later.withdraw(later.unplaced[: max(0, wanted - budget)], now)
            evicted += giving_way
            budget += len(giving_way)
        started = max(0, min(wanted, budget))
        reserve += [scan_workers.demand.scan_id] * started
        budget -= started
    return send, reserve, evicted


def _changed_reasons(by_scan: Sequence[ScanWorkers]) -> dict[str, str | None]:
    reasons = ((scan_workers.demand, _waiting_reason(scan_workers)) for scan_workers in by_scan)
    return {demand.scan_id: reason for demand, reason in reasons if reason != demand.waiting_reason}


def _waiting_reason(scan_workers: ScanWorkers) -> str | None:
    """Why a scan does not go faster; None if it runs at full speed."""
    demand = scan_workers.demand
    if demand.pending == 0:
        return None
    if demand.fit_nodes == 0:
        return demand.why_unfit
    if unplaced := scan_workers.unplaced:
        missing = scan_workers.missing + len(scan_workers.in_flight)
        return f"Nomad has no room for {_counted(missing)} more: {unplaced[0].no_room}."
    if slow := [worker for worker in scan_workers.workers if worker.slow_start is not None]:
        return _slow_start(slow)
    if scan_workers.unplaced_waves:
        return demand.waiting_reason  # a worker was withdrawn and is dispatched again
    return _early_exit(scan_workers)


def _slow_start(slow: Sequence[Worker]) -> str:
    job_id = slow[0].child.nomad_job_id if slow[0].child else ""
    return f"{_counted(len(slow))} cannot start yet: {slow[0].slow_start}. `nomad job status {job_id}` tells more."


def _early_exit(scan_workers: ScanWorkers) -> str | None:
    back_off = scan_workers.back_off()
    if back_off is None or not scan_workers.missing:
        return None
    last, again_at = back_off
    detail = f" ({last.detail})" if last.detail else ""
    return (
        f"A worker ended before it ran anything{detail}; the next one starts at {again_at:%H:%M:%S} UTC. "
        f"`nomad job status {last.nomad_job_id}` tells more."
    )


def _counted(workers: int) -> str:
    return f"{workers} worker" + ("" if workers == 1 else "s")
