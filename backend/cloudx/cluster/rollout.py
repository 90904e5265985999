"""Roll a job out or back, watch until Nomad has decided, and find out why a rollout failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cloudx.domain.errors import CloudxError, DependencyUnavailable, NotFound

from .nomad_ports import (
    Allocation,
    Checks,
    Deployment,
    Evaluation,
    FailedPlacement,
    FailingCheck,
    JobApi,
    JobSource,
    JobVersion,
    SubmittedJob,
)

LOOK_SECONDS = 0.5
AWAY_SECONDS = 120.0  # a leader change takes Nomad seconds; the rollout goes on meanwhile
SHOWN_LINES = 12
SHOWN_ILL = 3


@dataclass(frozen=True)
class LogEnd:
    """The last lines of a task's log."""

    allocation_id: str
    task: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class RolloutProgress:
    """A rollout at one moment; `trouble` says why Nomad did not answer since."""

    submitted: SubmittedJob
    deployment: Deployment | None = None
    allocations: tuple[Allocation, ...] = ()
    failing: tuple[FailingCheck, ...] = ()
    unplaced: tuple[FailedPlacement, ...] = ()
    trouble: str | None = None
    checks_problem: str | None = None  # why Consul's checks are unknown


@dataclass(frozen=True)
class RolloutOutcome:
    """How a rollout ended: a sentence, and what explains a failure."""

    succeeded: bool
    message: str
    progress: RolloutProgress
    logs: tuple[LogEnd, ...] = ()


Show = Callable[[RolloutProgress], None]


@dataclass
class FollowRollout:
    """Watches a submitted version until Nomad has decided."""

    jobs: JobApi
    checks: Checks | None
    rest: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    # Nomad's progress deadline begins when the first instance finds a machine: if none does, it never ends.
    placement_seconds: float = 30.0
    # Nomad deregisters failing allocations from Consul when it gives up: keep the output of their checks.
    _seen_failing: dict[tuple[str, str], FailingCheck] = field(default_factory=dict)
    _checks_problem: str | None = None

    def __call__(self, submitted: SubmittedJob, show: Show, timeout_seconds: float) -> RolloutOutcome:
        """Show the progress until the rollout ends or the time is over; return its outcome.

        Raises DependencyUnavailable if Nomad is away for longer than AWAY_SECONDS.
        """
        progress = RolloutProgress(submitted)
        started_at = answered_at = self.clock()
        while self.clock() - started_at < timeout_seconds:
            try:
                progress, evaluation = self._look(submitted)
                answered_at = self.clock()
            except DependencyUnavailable as error:
                if self.clock() - answered_at > AWAY_SECONDS:
                    raise
                progress = replace(progress, trouble=error.message)
                evaluation = None
            show(progress)
            has_waited = self.clock() - started_at > self.placement_seconds
            verdict = evaluation and self._verdict(progress, evaluation, has_waited)
            if verdict:
                return verdict
            self.rest(LOOK_SECONDS)
        return self._failure(progress, f"it is not through after {timeout_seconds:.0f} s; Nomad goes on with it")

    def _look(self, submitted: SubmittedJob) -> tuple[RolloutProgress, Evaluation]:
        job_id, version = submitted.job_id, submitted.version
        evaluation = self.jobs.evaluation(submitted.evaluation_id)
        deployments = [each for each in self.jobs.deployments(job_id) if each.version == version]
        allocations = tuple(each for each in self.jobs.allocations(job_id) if each.version == version)
        unwell = {allocation.id for allocation in allocations if allocation.healthy is not True}
        self._note_failing(unwell)
        progress = RolloutProgress(
            submitted=submitted,
            deployment=deployments[0] if deployments else None,
            allocations=allocations,
            failing=tuple(check for check in self._seen_failing.values() if check.allocation_id in unwell),
            unplaced=evaluation.failed_placements,
            checks_problem=self._checks_problem,
        )
        return progress, evaluation

    def _note_failing(self, allocation_ids: set[str]) -> None:
        try:
            found = self.checks.failing() if self.checks else []
            self._checks_problem = None
        except CloudxError as error:  # Consul explains a failure and decides nothing
            self._checks_problem = error.message
            return
        for check in found:
            key = (check.allocation_id, check.name)
            # A check that has not run yet counts as failing, with no output.
            if check.allocation_id in allocation_ids and (check.output or key not in self._seen_failing):
                self._seen_failing[key] = check

    def _verdict(self, progress: RolloutProgress, evaluation: Evaluation, has_waited: bool) -> RolloutOutcome | None:
        if has_waited and progress.unplaced and not progress.allocations:
            return self._failure(progress, "no machine takes it; Nomad places it when each can")
        if progress.deployment is not None:
            return self._deployment_verdict(progress, progress.deployment)
        if evaluation.status in ("failed", "canceled"):
            return self._failure(progress, f"Nomad could not place it: {evaluation.description or evaluation.status}")
        if not evaluation.is_over:
            return None
        # No deployment: batch jobs, and those without an update block. They succeed once all that was placed runs.
        live = [allocation for allocation in progress.allocations if allocation.desired == "run"]
        if any(allocation.status in ("failed", "lost") for allocation in live):
            return self._failure(progress, "an instance failed")
        if progress.unplaced:
            return self._failure(progress, "not every instance found a machine")
        if all(allocation.status in ("running", "complete") for allocation in live):
            return self._success(progress)
        return None

    def _deployment_verdict(self, progress: RolloutProgress, deployment: Deployment) -> RolloutOutcome | None:
        if deployment.status == "successful":
            return self._success(progress)
        return self._failure(progress, deployment.description) if deployment.is_over else None

    def _success(self, progress: RolloutProgress) -> RolloutOutcome:
        submitted = progress.submitted
        return RolloutOutcome(True, f"{submitted.job_id} runs at version {submitted.version}.", progress)

    def _failure(self, progress: RolloutProgress, why: str) -> RolloutOutcome:
        submitted = progress.submitted
        message = f"{submitted.job_id} version {submitted.version} was not rolled out: {why.rstrip('.')}."
        return RolloutOutcome(False, message, progress, self._logs(progress))

    def _logs(self, progress: RolloutProgress) -> tuple[LogEnd, ...]:
        not_healthy = [allocation for allocation in progress.allocations if allocation.healthy is not True]
        ill = [allocation for allocation in progress.allocations if allocation.is_ill] or not_healthy
        tasks = [(allocation.id, task) for allocation in ill[-SHOWN_ILL:] for task in allocation.tasks]
        # A task that ended well explains nothing; if all did, each is shown.
        suspects = [(owner, task) for owner, task in tasks if task.has_failed or task.state != "dead"] or tasks
        found = ((owner, task.name, self.jobs.last_lines(owner, task.name)) for owner, task in suspects)
        return tuple(LogEnd(owner, name, tuple(log.splitlines()[-SHOWN_LINES:])) for owner, name, log in found if log)


@dataclass(frozen=True)
class RollOut:
    """The use cases of `cloudx cluster rollout` and `rollback`."""

    jobs: JobApi
    follow: FollowRollout

    def roll_out(self, source: JobSource, show: Show, timeout_seconds: float) -> RolloutOutcome:
        """Submit a job file and watch it; if Nomad reverts it by itself, watch that too."""
        return self._through(self.jobs.submit(source), show, timeout_seconds)

    def roll_back(self, job_id: str, to: int | None, show: Show, timeout_seconds: float) -> RolloutOutcome:
        """Go back to version `to`, or to the last stable version before the newest. Raises NotFound."""
        target = choose_version(job_id, self.jobs.versions(job_id), to)
        return self._through(self.jobs.revert(job_id, target.number), show, timeout_seconds)

    def _through(self, submitted: SubmittedJob, show: Show, timeout_seconds: float) -> RolloutOutcome:
        outcome = self.follow(submitted, show, timeout_seconds)
        if outcome.succeeded:
            return outcome
        restored = self._restored(submitted, show)
        return replace(outcome, message=f"{outcome.message} {restored}") if restored else outcome

    def _restored(self, failed: SubmittedJob, show: Show) -> str | None:
        """Watch Nomad's own revert, which is a new version with its own deployment."""
        deployments = self.jobs.deployments(failed.job_id)
        newer = next((each for each in deployments if each.version > failed.version), None)
        if newer is None:
            return None
        while not newer.is_over:
            self.follow.rest(LOOK_SECONDS)
            newer = next(each for each in self.jobs.deployments(failed.job_id) if each.id == newer.id)
            back = SubmittedJob(failed.job_id, newer.version, "")
            show(RolloutProgress(back, newer))
        if newer.status == "successful":
            return f"What ran before it runs again, as version {newer.version}."
        return f"Going back, as version {newer.version}, failed too: {newer.description}"


def choose_version(job_id: str, versions: list[JobVersion], to: int | None) -> JobVersion:
    """The version to go back to. Raises NotFound that lists the versions."""
    if to is not None:
        chosen = next((version for version in versions if version.number == to), None)
    else:
        chosen = next((version for version in versions[1:] if version.is_stable), None)
    if chosen is None:
        known = ", ".join(f"{version.number}{' (stable)' if version.is_stable else ''}" for version in versions)
        missing = f"version {to}" if to is not None else "stable version before the newest"
        raise NotFound(f"{job_id} has no {missing}. It has: {known}. Name one with --to, or roll a job file out.")
    return chosen
