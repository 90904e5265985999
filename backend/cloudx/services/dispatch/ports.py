"""What dispatching scan workers needs from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudx.domain.dispatch.states import Child, DispatchOutcome


@dataclass(frozen=True)
class Ending:
    """How a dispatched job ended. `worker_id` and `is_dead` tell whose leases nobody will renew any more."""

    outcome: DispatchOutcome
    detail: str | None = None
    worker_id: str | None = None
    is_dead: bool = False  # its machine says so; one that Nomad has lost may live


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


class LeaderLock(Protocol):
    """One at a time among all processes."""

    def acquire(self) -> bool:
        """True while this process may act; asks for it where nobody has it. Raises DependencyUnavailable."""
        ...

    def wait(self, seconds: float) -> None:
        """Until the time is over or somebody rings (Dispatches.notify), where it is this process's turn."""
        ...

    def release(self) -> None:
        """Let another process act."""
        ...
