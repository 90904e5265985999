"""Dispatches of scan workers: what the ledger and Nomad know of them, and the actions that are planned for them.

A row of the ledger (a Dispatch) comes before its worker (Nomad's Child) and outlives it; a token ties them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SOON_SECONDS = 15.0  # a worker that ends within them and ran nothing will do so again


class DispatchState(StrEnum):
    """The states of a row: written, dispatched at Nomad, ended."""

    RESERVED = "reserved"
    SENT = "sent"
    ENDED = "ended"


class DispatchOutcome(StrEnum):
    """How a dispatch ended."""

    UNNEEDED = "unneeded"  # its scan ended before the dispatch
    FINISHED = "finished"
    IDLE = "idle"  # it left soon without running a chunk
    FAILED = "failed"
    LOST = "lost"  # with its machine
    STOPPED = "stopped"
    NO_ROOM = "no_room"  # no machine took it; withdrawn
    GONE = "gone"  # Nomad has forgotten it


class Placement(StrEnum):
    """How far a worker is on its way, as Nomad sees it."""

    WAITING = "waiting"  # no machine has it
    STARTING = "starting"
    RUNNING = "running"
    AWAY = "away"  # Nomad has lost its machine; the worker may go on


@dataclass(frozen=True)
class Dispatch:
    """A row of the ledger: one worker for one scan. `token` makes a repeated dispatch return the same job."""

    scan_id: str
    serial: int  # counts the scan's dispatches
    token: str
    state: DispatchState
    created_at: datetime
    nomad_job_id: str | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: DispatchOutcome | None = None
    detail: str | None = None  # the last words of a failed worker

    @property
    def exited_early(self) -> bool:
        """True if the next worker will most likely end in the same way."""
        if self.outcome is DispatchOutcome.FAILED:
            return _seconds(self.sent_at or self.created_at, self.ended_at) < SOON_SECONDS
        return self.outcome is DispatchOutcome.IDLE


@dataclass(frozen=True)
class Child:
    """A dispatched job that is not over, as Nomad has it."""

    nomad_job_id: str
    token: str
    placement: Placement


@dataclass(frozen=True)
class Demand:
    """A scan that is not over, and the workers it could use."""

    scan_id: str
    pending: int  # chunks that wait for a worker
    leased: int
    fit_nodes: int
    max_workers: int | None = None
    why_unfit: str = ""  # where there is no fit node
    waiting_reason: str | None = None  # as it is shown now

    @property
    def wanted(self) -> int:
        """How many workers it can use at once."""
        limits = [self.pending + self.leased, self.fit_nodes]
        return min(limits if self.max_workers is None else [*limits, self.max_workers])


@dataclass(frozen=True)
class Observed:
    """All that a plan is made from."""

    now: datetime
    demands: Sequence[Demand]  # in the order in which scans are served
    dispatches: Sequence[Dispatch]  # those not ended, and the last ended ones of the demanding scans
    children: Sequence[Child]
    no_room: dict[str, str] = field(default_factory=dict)  # why Nomad finds no room, by job id
    slow_starts: dict[str, str] = field(default_factory=dict)  # what a placed worker waits for, by job id
    misplaced: frozenset[str] = frozenset()  # jobs on machines that cannot run their scan
    leaving: frozenset[str] = frozenset()  # scans just completed: their workers leave by themselves


@dataclass(frozen=True)
class Actions:
    """What to do, in this order."""

    record: tuple[tuple[Dispatch, str], ...] = ()  # Nomad has the job already: store its id
    examine: tuple[Dispatch, ...] = ()  # Nomad's job has ended: read how, and end the row
    cancel: tuple[Dispatch, ...] = ()  # never dispatched: end the row
    stop: tuple[tuple[Dispatch, str, DispatchOutcome], ...] = ()  # end Nomad's job, then the row
    stray: tuple[Child, ...] = ()  # our jobs without a row: end them, if they still have none
    send: tuple[Dispatch, ...] = ()
    reserve: tuple[str, ...] = ()  # write a row for this scan and send it; a scan may stand several times
    place_together: int = 1  # how many to send at once: Nomad does not see what it is placing
    waiting_reasons: dict[str, str | None] = field(default_factory=dict)  # changed reasons, by scan id


def _seconds(start: datetime, end: datetime | None) -> float:
    return (end - start).total_seconds() if end else 0.0
