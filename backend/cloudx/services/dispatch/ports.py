"""What dispatching scan workers needs from the outside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudx.domain.dispatch.states import Child, DispatchOutcome


@dataclass(frozen=True)
class Ending:
    """How a dispatched job ended. If `is_dead`, no one renews the leases of `worker_id` any more."""

    outcome: DispatchOutcome
    detail: str | None = None
    worker_id: str | None = None
    is_dead: bool = False  # the machine reported it; a worker on a lost machine may still run


class ScanJobs(Protocol):
    """The scan workers that Nomad runs. All raise DependencyUnavailable, or Forbidden naming the missing right."""

    def dispatch(self, scan_id: str, token: str) -> str:
        """Start one worker and return the id of its job. Repeating a token returns the job of the first call."""
        ...

    def wait_until_placed(self, nomad_job_ids: Sequence[str]) -> None:
        """Wait, for a moment at most, until Nomad has looked for a machine for each job."""
        ...

    def children(self, among: Collection[str] | None = None) -> Sequence[Child]:
        """The jobs that have not ended; all of them, or those among these ids and some others.

        Asked for its few live jobs, Nomad does not look through the dead ones that it keeps.
        """
        ...

    def no_room(self, nomad_job_ids: Collection[str]) -> dict[str, str]:
        """Why jobs have no machine, by job id."""
        ...

    def machines(self, nomad_job_ids: Collection[str]) -> dict[str, str]:
        """The node id of each of these jobs that runs, by job id."""
        ...

    def last_words(self, nomad_job_id: str) -> str:
        """Nomad's last event of the job's worker, with the machine; "" if no machine has it."""
        ...

    def stop(self, nomad_job_id: str) -> None:
        """End a job; does nothing if it has ended or is gone."""
        ...

    def ending(self, nomad_job_id: str) -> Ending:
        """How an ended job ended."""
        ...


class LeaderLock(Protocol):
    """Leader election: one process at a time holds it."""

    def acquire(self) -> bool:
        """Take the lock if it is free; True while this process holds it. Raises DependencyUnavailable."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait for `seconds`; a leader returns early on Dispatches.notify."""
        ...

    def release(self) -> None:
        """Give the lock up, so that another process can take it."""
        ...
