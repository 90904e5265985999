"""What dispatching scan workers needs from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.dispatch.states import Child, Dispatch, Outcome
from cloudx.domain.tools import ScanType


@dataclass(frozen=True)
class Ending:
    """How a dispatched job ended. `worker_id` and `is_dead` tell whose leases nobody will renew any more."""

    outcome: Outcome
    detail: str | None = None
    worker_id: str | None = None
    is_dead: bool = False  # its machine says so; one that Nomad has lost may live


@dataclass(frozen=True)
class OpenScan:
    """A scan that is not over, as the ledger has it."""

    scan_id: str
    type: ScanType
    pending: int
    leased: int
    max_workers: int | None
    waiting_reason: str | None


@dataclass(frozen=True)
class DispatchBook:
    """What the ledger has to decide on."""

    now: datetime
    scans: Sequence[OpenScan]  # highest priority first, then oldest
    dispatches: Sequence[Dispatch]  # those not ended, and the last ended ones of these scans
    leaving: frozenset[str]  # scans just completed that have dispatches

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to look after."""
        return not self.scans and not self.dispatches


class Dispatches(Protocol):
    """The ledger's rows about scan workers."""

    def book(self) -> DispatchBook:
        """What there is to decide on, at this moment."""
        ...

    def reserve(self, scan_id: str, token: str) -> Dispatch:
        """Write the scan's next row. Raises Conflict where somebody else wrote it at the same moment."""
        ...

    def mark_sent(self, dispatch: Dispatch, nomad_job_id: str) -> None:
        """Nomad has it."""
        ...

    def end(self, dispatch: Dispatch, outcome: Outcome, detail: str | None = None) -> None:
        """It is over; nothing where it was before. The row of a scan that is gone goes too."""
        ...

    def has_run(self, scan_id: str, worker_id: str) -> bool:
        """Whether a worker ever took a chunk of a scan."""
        ...

    def give_up_leases(self, scan_id: str, worker_id: str) -> None:
        """Let the leases of a worker that is dead run out at once."""
        ...

    def ring(self) -> None:
        """Have whose turn it is look at once, when this transaction is committed."""
        ...

    def explain(self, scan_id: str, waiting_reason: str | None) -> None:
        """Store why a scan does not go faster."""
        ...


class ScanJobs(Protocol):
    """Nomad's jobs that scan. All raise DependencyUnavailable, or Forbidden with the right that is missing."""

    def dispatch(self, scan_id: str, token: str) -> str:
        """Start one worker; the id of its job. The same token again starts no second one."""
        ...

    def wait_until_placed(self, nomad_job_ids: Sequence[str]) -> None:
        """Until Nomad has looked for a machine for each, found or not; no longer than a moment."""
        ...

    def children(self) -> Sequence[Child]:
        """Those that are not over."""
        ...

    def no_room(self) -> dict[str, str]:
        """Why those that no machine takes are not taken, by the id of their job."""
        ...

    def machines(self) -> dict[str, str]:
        """Where those run that run: the node's id, by the id of their job."""
        ...

    def last_words(self, nomad_job_id: str) -> str:
        """What Nomad said last of its worker, and on which machine; "" where none has it."""
        ...

    def stop(self, nomad_job_id: str) -> None:
        """End one; nothing when it is over or gone."""
        ...

    def ending(self, nomad_job_id: str) -> Ending:
        """How one that is over ended."""
        ...


class Turn(Protocol):
    """One at a time among all processes."""

    def is_mine(self) -> bool:
        """True while this process may act; asks for it where nobody has it. Raises DependencyUnavailable."""
        ...

    def wait(self, seconds: float) -> None:
        """Until the time is over or somebody rings (Dispatches.ring), where it is this process's turn."""
        ...

    def give_back(self) -> None:
        """Let another process act."""
        ...
