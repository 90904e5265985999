"""The workers of one scan: how many it lacks, and what its earlier ones teach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudx.domain.backoff import Backoff

from .states import Child, Demand, Dispatch, DispatchOutcome, DispatchState, Placement

# An outage costs at most half a minute more than it lasts.
RETRY = Backoff(first_seconds=1.0, longest_seconds=30.0)
PATIENCE = Backoff(first_seconds=4.0, longest_seconds=30.0)  # before a worker that finds no room is withdrawn


@dataclass(frozen=True)
class Worker:
    """A row that goes on, and what Nomad has for it."""

    row: Dispatch
    child: Child | None
    is_misplaced: bool = False  # it stays idle on a machine that cannot run the scan, so that the next goes elsewhere

    @property
    def placement(self) -> Placement:
        """Where it is on its way."""
        return self.child.placement if self.child else Placement.WAITING

    @property
    def is_in_flight(self) -> bool:
        """True until it runs."""
        return self.placement in (Placement.WAITING, Placement.STARTING)


@dataclass
class ScanWorkers:
    """A scan's workers and its dispatches that ended."""

    demand: Demand
    workers: list[Worker]
    history: list[Dispatch]
    has_unexamined: bool = False  # how one ended decides what comes next

    @property
    def here(self) -> list[Worker]:
        """Those that can work: Nomad has not lost them, nor placed them where they cannot."""
        return [w for w in self.workers if w.placement is not Placement.AWAY and not w.is_misplaced]

    @property
    def in_flight(self) -> list[Worker]:
        """Those that do not run yet."""
        return [worker for worker in self.workers if worker.is_in_flight]

    @property
    def missing(self) -> int:
        """How many more it needs. Only for chunks that nobody has: who left for want of one is not replaced."""
        for_nobody = self.demand.pending - len(self.in_flight)
        return max(0, min(for_nobody, self.demand.wanted - len(self.here)))

    @property
    def unasked(self) -> list[Worker]:
        """Those that Nomad was not asked for yet; a crash came between."""
        return [w for w in self.workers if w.row.state is DispatchState.RESERVED and w.child is None]

    @property
    def too_late(self) -> list[Worker]:
        """Of those, the ones for whom others have left nothing."""
        extra = max(len(self.in_flight) - self.demand.pending, len(self.here) - self.demand.wanted, 0)
        return self.unasked[len(self.unasked) - min(extra, len(self.unasked)) :]

    @property
    def surplus(self) -> list[Worker]:
        """Those above the scan's own cap: one came back that Nomad had lost."""
        cap = self.demand.max_workers
        newest_first = sorted(self.here, key=lambda worker: -worker.row.serial)
        return newest_first[: len(self.here) - cap] if cap is not None and len(self.here) > cap else []

    @property
    def unplaced_waves(self) -> int:
        """How often in a row all that was asked for found no room."""
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
        """How long one that finds no room may wait at Nomad before it is asked for anew."""
        return PATIENCE.seconds_after(self.unplaced_waves + 1)

    def back_off(self) -> tuple[Dispatch, datetime] | None:
        """The last of those that ended in vain, and when to try again."""
        done_well = [
            row.serial for row in self.history if not row.exited_early and row.outcome is not DispatchOutcome.UNNEEDED
        ]
        in_vain = [row for row in self.history if row.exited_early and row.serial > max(done_well, default=0)]
        if not in_vain:
            return None
        last = max(in_vain, key=lambda row: row.ended_at or row.created_at)
        seconds = RETRY.seconds_after(count_waves(in_vain))
        return last, (last.ended_at or last.created_at) + timedelta(seconds=seconds)


def count_waves(rows: Iterable[Dispatch]) -> int:
    """How many tries these are; those that were under way at the same time are one."""
    waves, last_end = 0, None
    for row in sorted(rows, key=lambda row: row.serial):
        if last_end is None or row.created_at >= last_end:
            waves += 1
        ended_at = row.ended_at or row.created_at
        last_end = ended_at if last_end is None else max(last_end, ended_at)
    return waves
