"""See what runs in a cluster: its jobs, its machines and the checks that fail."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.errors import CloudxError

from .nomad_ports import Checks, FailingCheck, JobApi, JobState, Machines, MachineState


@dataclass(frozen=True)
class ClusterState:
    """The cluster at one moment; `checks_problem` says why nothing is known of Consul's checks."""

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
        """Ask all of them now. Raises what Nomad's side raises; without Consul the rest is still shown."""
        try:
            failing, problem = tuple(self.checks.failing()), None
        except CloudxError as error:
            failing, problem = (), error.message
        return ClusterState(tuple(self.jobs.all()), tuple(self.machines.all()), failing, problem)
