"""What rollouts and drains need from Nomad and Consul, as Protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class JobSource:
    """The text of a job file, and its variables as text (an HCL expression if the type is not string)."""

    hcl: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class SubmittedJob:
    """A job that Nomad has accepted, and the evaluation that will place it."""

    job_id: str
    version: int
    evaluation_id: str


@dataclass(frozen=True)
class JobVersion:
    """A version of a job; `label` is its name in the Consul meta of its services, or empty."""

    number: int
    is_stable: bool
    label: str


@dataclass(frozen=True)
class JobState:
    """A job as a whole; `running` and `desired` count allocations."""

    job_id: str
    type: str
    status: str
    version: JobVersion
    running: int
    desired: int | None
    deployment: str


@dataclass(frozen=True)
class GroupProgress:
    """The state of a group of a deployment, in allocations."""

    name: str
    desired: int
    placed: int
    healthy: int
    unhealthy: int
    canaries: int
    is_promoted: bool


@dataclass(frozen=True)
class Deployment:
    """Nomad's supervision of a version's rollout; `said` is Nomad's description of its status."""

    id: str
    version: int
    status: str
    description: str
    groups: tuple[GroupProgress, ...]

    @property
    def is_over(self) -> bool:
        """True if the deployment has ended."""
        return self.status in ("successful", "failed", "cancelled")


@dataclass(frozen=True)
class FailedPlacement:
    """The reason why a group could not be placed."""

    group: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """The scheduler's work on a submitted job; `said` is Nomad's description of its status."""

    status: str
    description: str
    failed_placements: tuple[FailedPlacement, ...]

    @property
    def is_over(self) -> bool:
        """True if the scheduler has ended its work."""
        return self.status not in ("pending", "blocked")


@dataclass(frozen=True)
class TaskReport:
    """A task of an allocation; `events` are the messages of its last events."""

    name: str
    state: str
    has_failed: bool
    restarts: int
    events: tuple[str, ...]


@dataclass(frozen=True)
class Allocation:
    """An instance of a group on a machine; `healthy` is None while that is undecided."""

    id: str
    job_id: str
    group: str
    version: int
    node_name: str
    status: str
    desired: str
    healthy: bool | None
    tasks: tuple[TaskReport, ...] = ()

    @property
    def is_ill(self) -> bool:
        """True if the allocation has failed, is unhealthy or has a failed task."""
        return self.status == "failed" or self.healthy is False or any(task.has_failed for task in self.tasks)


@dataclass(frozen=True)
class FailingCheck:
    """A check that does not pass, with its output."""

    allocation_id: str
    node_name: str
    name: str
    output: str


@dataclass(frozen=True)
class MachineState:
    """A Nomad client; `last_drain` is how its last drain ended (complete, canceled or empty)."""

    id: str
    name: str
    status: str
    is_draining: bool
    is_eligible: bool
    last_drain: str


class JobApi(Protocol):
    """Nomad's jobs. Every call raises DependencyUnavailable, Forbidden, NotFound or InvalidInput."""

    def submit(self, source: JobSource) -> SubmittedJob:
        """Run a job file, as `nomad job run` does."""
        ...

    def revert(self, job_id: str, version: int) -> SubmittedJob:
        """Make an earlier version the newest again."""
        ...

    def all(self) -> list[JobState]:
        """Every job, without the instances of parameterized and periodic jobs."""
        ...

    def versions(self, job_id: str) -> list[JobVersion]:
        """The versions of a job, newest first."""
        ...

    def evaluation(self, evaluation_id: str) -> Evaluation:
        """An evaluation by its id."""
        ...

    def deployments(self, job_id: str) -> list[Deployment]:
        """The deployments of a job, newest first."""
        ...

    def allocations(self, job_id: str) -> list[Allocation]:
        """The allocations of a job, of every version that Nomad still remembers."""
        ...

    def last_lines(self, allocation_id: str, task: str) -> str:
        """The end of a task's standard error, or if empty of its standard output; "" if neither can be read."""
        ...


class Checks(Protocol):
    """Consul's checks of what Nomad runs."""

    def failing(self) -> list[FailingCheck]:
        """The checks that do not pass now. Raises DependencyUnavailable."""
        ...


class Machines(Protocol):
    """Nomad's clients. Every call raises DependencyUnavailable, Forbidden, NotFound or InvalidInput."""

    def all(self) -> list[MachineState]:
        """Every machine that Nomad remembers."""
        ...

    def find(self, name: str) -> list[MachineState]:
        """The machines of this name or id, else those whose id begins with it (4 characters or more)."""
        ...

    def state(self, node_id: str) -> MachineState:
        """A machine by its id."""
        ...

    def drain(self, node_id: str, deadline_seconds: float) -> None:
        """Begin to move a machine's work elsewhere; what is left at the deadline is stopped."""
        ...

    def restore(self, node_id: str) -> None:
        """End a machine's drain, if any, and let it take new work."""
        ...

    def allocations(self, node_id: str) -> list[Allocation]:
        """The allocations that are or were on a machine."""
        ...
