"""What rolling out jobs and draining machines needs from Nomad and Consul."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class JobSource:
    """A job file's text and the variables for it, as text (what is no string is an HCL expression)."""

    hcl: str
    variables: Mapping[str, str]


@dataclass(frozen=True)
class SubmittedJob:
    """A job that Nomad took, and the evaluation that will place it."""

    job_id: str
    version: int
    evaluation_id: str


@dataclass(frozen=True)
class JobVersion:
    """One version of a job; `label` is what its services call it in Consul's meta, empty when nothing."""

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
    """How far one group of a deployment is, in allocations."""

    name: str
    desired: int
    placed: int
    healthy: int
    unhealthy: int
    canaries: int
    is_promoted: bool


@dataclass(frozen=True)
class Deployment:
    """Nomad's supervision of one version's rollout; `description` is its own word for the state."""

    id: str
    version: int
    status: str
    description: str
    groups: tuple[GroupProgress, ...]

    @property
    def is_over(self) -> bool:
        """True when nothing more happens."""
        return self.status in ("successful", "failed", "cancelled")


@dataclass(frozen=True)
class FailedPlacement:
    """Why a group could not be placed."""

    group: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """The scheduler's work on a submitted job."""

    status: str
    description: str
    failed_placements: tuple[FailedPlacement, ...]

    @property
    def is_over(self) -> bool:
        """True when the scheduler is through with it."""
        return self.status not in ("pending", "blocked")


@dataclass(frozen=True)
class TaskReport:
    """One task of an allocation; `events` are its last ones, in words."""

    name: str
    state: str
    has_failed: bool
    restarts: int
    events: tuple[str, ...]


@dataclass(frozen=True)
class Allocation:
    """One instance of a group on one machine; healthy is None while that is undecided."""

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
        """True when it is part of what went wrong."""
        return self.status == "failed" or self.healthy is False or any(task.has_failed for task in self.tasks)


@dataclass(frozen=True)
class FailingCheck:
    """A check that does not pass, with what it said."""

    allocation_id: str
    node_name: str
    name: str
    output: str


@dataclass(frozen=True)
class MachineState:
    """A Nomad client: what is decided about it and how its last drain ended (complete, canceled or nothing)."""

    id: str
    name: str
    status: str
    is_draining: bool
    is_eligible: bool
    last_drain: str


class JobApi(Protocol):
    """Nomad's jobs. Every call raises DependencyUnavailable, Forbidden, NotFound or InvalidInput."""

    def submit(self, source: JobSource) -> SubmittedJob:
        """Run a job file, as `nomad job run` would."""
        ...

    def revert(self, job_id: str, version: int) -> SubmittedJob:
        """Make an earlier version the newest again."""
        ...

    def all(self) -> list[JobState]:
        """Every job that is no instance of another, by id."""
        ...

    def versions(self, job_id: str) -> list[JobVersion]:
        """Newest first."""
        ...

    def evaluation(self, evaluation_id: str) -> Evaluation:
        """One evaluation."""
        ...

    def deployments(self, job_id: str) -> list[Deployment]:
        """Those of a job, newest first."""
        ...

    def allocations(self, job_id: str) -> list[Allocation]:
        """Those of every version that Nomad still remembers."""
        ...

    def last_lines(self, allocation_id: str, task: str) -> str:
        """The end of what a task wrote to standard error, else to standard output; empty when it is not to be had."""
        ...


class Checks(Protocol):
    """Consul's checks of what Nomad runs."""

    def failing(self) -> list[FailingCheck]:
        """All that do not pass now. Raises DependencyUnavailable."""
        ...


class Machines(Protocol):
    """Nomad's clients. Every call raises DependencyUnavailable, Forbidden, NotFound or InvalidInput."""

    def all(self) -> list[MachineState]:
        """Every one that Nomad remembers."""
        ...

    def find(self, name: str) -> list[MachineState]:
        """Those with this name, or whose id starts so."""
        ...

    def state(self, node_id: str) -> MachineState:
        """One of them."""
        ...

    def drain(self, node_id: str, deadline_seconds: float) -> None:
        """Begin to move its work elsewhere; what is left at the deadline is stopped."""
        ...

    def restore(self, node_id: str) -> None:
        """End a drain, if any, and take new work again."""
        ...

    def allocations(self, node_id: str) -> list[Allocation]:
        """What is or was there."""
        ...
