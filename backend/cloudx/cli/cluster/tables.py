"""Tables of a cluster, and the report of a failed rollout."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cloudx.terminal import out, say, table, visible

if TYPE_CHECKING:
    from cloudx.cluster.nomad_ports import Allocation, JobState, MachineState
    from cloudx.cluster.rollout import RolloutOutcome
    from cloudx.cluster.status import ClusterState

_OUTPUT_LIMIT = 2000


def document(state: Any) -> Any:
    """Turn a dataclass into what JSON takes."""
    return asdict(state)


def print_cluster(state: ClusterState) -> None:
    """Print jobs, machines and failing checks."""
    from rich.text import Text

    jobs = table("JOB", "TYPE", "STATUS", "RUNNING", "VERSION", "DEPLOYMENT", right=("RUNNING",))
    for job in state.jobs:
        cells = (job.job_id, job.type, job.status, _running(job), _version(job), job.deployment)
        jobs.add_row(*map(visible, cells), style=_style(job.deployment))
    out().print(jobs)
    out().print()
    machines = table("MACHINE", "STATE", "ID")
    for machine in state.machines:
        machines.add_row(visible(machine.name), _scheduling(machine), visible(machine.id))
    out().print(machines)
    for check in state.failing:
        what = f"{check.node_name} {check.allocation_id[:8]}: {check.name}: {check.output}"
        out().print(Text(visible(what, _OUTPUT_LIMIT), style="red"), soft_wrap=True)
    if state.checks_problem:
        say(f"The checks are not known: {state.checks_problem}")


def _running(job: JobState) -> str:
    return str(job.running) if job.desired is None else f"{job.running}/{job.desired}"


def _version(job: JobState) -> str:
    stable = " stable" if job.version.is_stable else ""
    return f"{job.version.number} {job.version.label}".rstrip() + stable


def _style(deployment: str) -> str:
    return {"failed": "red", "running": "yellow"}.get(deployment, "")


def _scheduling(machine: MachineState) -> str:
    if machine.status != "ready":
        return machine.status
    if machine.is_draining:
        return "draining"
    return "ready" if machine.is_eligible else "ready, gets no work"


def print_failure(outcome: RolloutOutcome) -> None:
    """Print why: what was not placed, the failing checks with their output, the events and the last log lines."""
    progress = outcome.progress
    for unplaced in progress.unplaced:
        _print("not placed", f"{unplaced.group}: {unplaced.reason}")
    for check in progress.failing:
        _print("check failed", f"{check.allocation_id[:8]} on {check.node_name}: {check.name}: {check.output}")
    if progress.checks_problem:
        _print("checks not known", progress.checks_problem)
    for allocation in progress.allocations:
        if allocation.is_ill:
            _print_events(allocation)
    for log in outcome.logs:
        _print("last lines", f"{log.allocation_id[:8]} {log.task}:")
        for line in log.lines:
            say(f"    {line}")


def _print_events(allocation: Allocation) -> None:
    _print("instance", f"{allocation.id[:8]} on {allocation.node_name}: {allocation.status}")
    for task in allocation.tasks:
        for event in task.events:
            say(f"    {task.name}: {event}")


def _print(title: str, text: str) -> None:
    say(f"{title}: {visible(text, _OUTPUT_LIMIT)}")
