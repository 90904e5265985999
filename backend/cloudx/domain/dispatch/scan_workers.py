"""The workers of one scan: how many are missing, which to withdraw, and how its earlier workers ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cloudx.domain.backoff import Backoff

from .states import Child, Demand, Dispatch, DispatchOutcome, DispatchState, Placement

# An outage costs at most half a minute more than it lasts.
RETRY = Backoff(first_seconds=1.0, longest_seconds=30.0)
PATIENCE = Backoff(first_seconds=4.0, longest_seconds=30.0)  # before a worker that finds no room is withdrawn


@dataclass(frozen=True)
class Worker:
    """An open row, Nomad's child for it, and what keeps it from working."""

    row: Dispatch
    child: Child | None = None
    is_misplaced: bool = False  # it idles, so that Nomad places the next worker on another machine
    no_room: str | None = None  # why Nomad finds no machine for it
    slow_start: str | None = None  # what it waits for on its machine

    @property
    def placement(self) -> Placement:
        """How far it is on its way to running."""
        return self.child.placement if self.child else Placement.WAITING

    @property
    def is_in_flight(self) -> bool:
        """True until it runs."""
        return self.placement in (Placement.WAITING, Placement.STARTING)

    @property
    def is_unplaced(self) -> bool:
        """True if it waits for a machine and Nomad finds none."""
        return self.no_room is not None and self.placement is Placement.WAITING


End = tuple[Worker, DispatchOutcome]


@dataclass
class ScanWorkers:
    """A scan's workers and its dispatches that ended."""

    demand: Demand
    workers: list[Worker]
    history: list[Dispatch]
    has_unexamined: bool = False  # the outcome of an ended worker is not known yet

    @property
    def here(self) -> list[Worker]:
        """Workers that can work: not lost with a machine and not misplaced."""
        return [w for w in self.workers if w.placement is not Placement.AWAY and not w.is_misplaced]

    @property
    def in_flight(self) -> list[Worker]:
        """Workers that do not run yet."""
        return [worker for worker in self.workers if worker.is_in_flight]

    @property
    def unplaced(self) -> list[Worker]:
        """Workers that Nomad finds no machine for."""
        return [worker for worker in self.workers if worker.is_unplaced]

    @property
    def missing(self) -> int:
        """How many more workers the scan needs: for pending chunks only, since a worker that found none has left."""
        unserved = self.demand.pending - len(self.in_flight)
        return max(0, min(unserved, self.demand.wanted - len(self.here)))

    def startable(self, now: datetime) -> int:
        """How many of the missing may be started now: none during a back-off, one at a time while there is no room."""
        back_off = self.back_off()
        if self.has_unexamined or (back_off is not None and now < back_off[1]):
            return 0
        if self.unplaced or self.unplaced_waves:
            return min(self.missing, max(0, 1 - len(self.in_flight)))  # one that waits shows when there is room again
        return self.missing

    @property
    def unsent(self) -> list[Worker]:
        """Reserved rows that Nomad has no job for: a crash came in between."""
        return [w for w in self.workers if w.row.state is DispatchState.RESERVED and w.child is None]

    @property
    def too_late(self) -> list[Worker]:
        """Unsent workers that have become unnecessary."""
        extra = max(len(self.in_flight) - self.demand.pending, len(self.here) - self.demand.wanted, 0)
        return self.unsent[len(self.unsent) - min(extra, len(self.unsent)) :]

    @property
    def surplus(self) -> list[Worker]:
        """Workers above the scan's cap: one came back that Nomad had lost."""
        cap = self.demand.max_workers
        newest_first = sorted(self.here, key=lambda worker: -worker.row.serial)
        return newest_first[: len(self.here) - cap] if cap is not None and len(self.here) > cap else []

    def out_of_patience(self, now: datetime) -> list[Worker]:
        """Workers that have waited for room too long: dispatched again, they get the job file as it is by then."""
        since = now - timedelta(seconds=self.patience_seconds)
        return [w for w in self.unplaced if (w.row.sent_at or w.row.created_at) < since]

    def withdraw(self, workers: Iterable[Worker], now: datetime) -> list[End]:
        """Take workers out of the scan, each with its outcome; one that Nomad has a job for is history from here on."""
        ends: list[End] = []
        for worker in dict.fromkeys(workers):
            self.workers.remove(worker)
            if worker.child is None:
                ends.append((worker, DispatchOutcome.UNNEEDED))
                continue
            outcome = DispatchOutcome.STOPPED if worker.no_room is None else DispatchOutcome.NO_ROOM
            ends.append((worker, outcome))
            self.history.append(replace(worker.row, state=DispatchState.ENDED, ended_at=now, outcome=outcome))
        return ends

    @property
    def unplaced_waves(self) -> int:
        """How many waves in a row found no room."""
        placed = [w.row.serial for w in self.workers if w.placement is not Placement.WAITING]
        placed += [
            row.serial for row in self.history if row.outcome not in (DispatchOutcome.NO_ROOM, DispatchOutcome.UNNEEDED)
        ]
        since = [
            row
            for row in self.history
            if row.outcome is DispatchOutcome.NO_ROOM and row.serial > max(placed, default=0)
        ]
        return count_waves(since)

    @property
    def patience_seconds(self) -> float:
        """How long a worker without room may wait at Nomad before it is dispatched again."""
        return PATIENCE.seconds_after(self.unplaced_waves + 1)

    def back_off(self) -> tuple[Dispatch, datetime] | None:
        """The last worker that exited early, and when to try again; None if the last workers ended well."""
        ended_well = [
            row.serial for row in self.history if not row.exited_early and row.outcome is not DispatchOutcome.UNNEEDED
        ]
        in_vain = [row for row in self.history if row.exited_early and row.serial > max(ended_well, default=0)]
        if not in_vain:
            return None
        last = max(in_vain, key=lambda row: row.ended_at or row.created_at)
        seconds = RETRY.seconds_after(count_waves(in_vain))
        return last, (last.ended_at or last.created_at) + timedelta(seconds=seconds)


def count_waves(rows: Iterable[Dispatch]) -> int:
    """How many waves these dispatches form: dispatches that overlap in time are one wave."""
    waves, last_end = 0, None
    for row in sorted(rows, key=lambda row: row.serial):
        if last_end is None or row.created_at >= last_end:
            waves += 1
        ended_at = row.ended_at or row.created_at
        last_end = ended_at if last_end is None else max(last_end, ended_at)
    return waves
