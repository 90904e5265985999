"""Read what runs in a cluster: its jobs, its machines and the failing checks."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.errors import CloudxError

from .nomad_ports import Checks, FailingCheck, JobApi, JobState, Machines, MachineState


@dataclass(frozen=True)
class ClusterState:
    """The cluster at one moment; `checks_problem` says why Consul's checks are unknown."""

    jobs: tuple[JobState, ...]
    machines: tuple[MachineState, ...]
    failing: tuple[FailingCheck, ...]
    checks_problem: str | None = None


@dataclass(frozen=True)
class ReadClusterStatus:
    """The use case of `cloudx cluster status`."""

    jobs: JobApi
    machines: Machines
    checks: Checks

    def __call__(self) -> ClusterState:
        """Read the state now. Raises the errors of JobApi and Machines; without Consul the rest is still read."""
        try:
            failing, problem = tuple(self.checks.failing()), None
        except CloudxError as error:
            failing, problem = (), error.message
        return ClusterState(tuple(self.jobs.all()), tuple(self.machines.all()), failing, problem)
