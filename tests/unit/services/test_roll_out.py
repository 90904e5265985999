"""What a rollout's moments mean, decided without a cluster."""

from __future__ import annotations

import pytest

from cloudx.cluster.job_variables import declared_variables, refuse_undeclared, variables_file
from cloudx.cluster.nomad_ports import (
    Allocation,
    Deployment,
    Evaluation,
    FailedPlacement,
    JobSource,
    JobVersion,
    SubmittedJob,
)
from cloudx.cluster.rollout import FollowRollout, RollOut, RolloutProgress, choose_version
from cloudx.domain.errors import DependencyUnavailable, InvalidInput, NotFound

SUBMITTED = SubmittedJob("web", 3, "e")
DONE = Evaluation("complete", "", ())


def allocation(status: str = "running", desired: str = "run", version: int = 3) -> Allocation:
    return Allocation("a", "web", "g", version, "vps1", status, desired, None)


def deployment(status: str, said: str = "", version: int = 3) -> Deployment:
    return Deployment(f"d{version}", version, status, said, ())


Moment = tuple[Evaluation | Exception, list[Deployment], list[Allocation]]


class Cluster:
    """A Nomad whose moments are given one by one; the last one stays."""

    def __init__(self, *moments: Moment) -> None:
        self._moments = iter(moments)
        self._last = moments[-1]
        self.now = 0.0

    def evaluation(self, evaluation_id: str) -> Evaluation:
        self._moment = next(self._moments, self._last)
        if isinstance(self._moment[0], Exception):
            raise self._moment[0]
        return self._moment[0]

    def deployments(self, job_id: str) -> list[Deployment]:
        return self._moment[1]

    def allocations(self, job_id: str) -> list[Allocation]:
        return self._moment[2]

    def last_lines(self, allocation_id: str, task: str) -> str:
        return "the last words"

    def submit(self, source: JobSource) -> SubmittedJob:
        return SUBMITTED

    def rest(self, seconds: float) -> None:
        self.now += seconds

    def follow(self, seconds: float = 300):
        follow = FollowRollout(self, None, self.rest, lambda: self.now)  # type: ignore[arg-type]
        self.shown: list[RolloutProgress] = []
        return RollOut(self, follow).roll_out(JobSource("", {}), self.shown.append, seconds)  # type: ignore[arg-type]


def test_a_deployment_decides_and_not_the_instances_that_run():
    running = (DONE, [deployment("running")], [allocation()])
    assert Cluster(running, running, (DONE, [deployment("successful")], [allocation()])).follow().succeeded
    failed = Cluster(running, (DONE, [deployment("failed", "Failed due to unhealthy allocations")], [])).follow()
    assert not failed.succeeded and "unhealthy allocations" in failed.message


def test_a_cancelled_deployment_is_no_success():
    assert not Cluster((DONE, [deployment("cancelled", "superseded")], [])).follow().succeeded


def test_the_deployment_of_another_version_decides_nothing():
    old = deployment("successful", version=2)
    cluster = Cluster((DONE, [old], [allocation("pending")]), (DONE, [deployment("failed"), old], []))
    assert not cluster.follow().succeeded and len(cluster.shown) == 2


@pytest.mark.parametrize(
    ("statuses", "succeeded"),
    [(["running"], True), (["complete"], True), (["running", "failed"], False), (["lost"], False)],
)
def test_without_a_deployment_what_was_placed_decides(statuses, succeeded):
    assert Cluster((DONE, [], [allocation(one) for one in statuses])).follow().succeeded is succeeded


def test_instances_that_still_start_are_waited_for():
    cluster = Cluster((DONE, [], [allocation("pending")]), (DONE, [], [allocation("running")]))
    assert cluster.follow().succeeded and len(cluster.shown) == 2


def test_an_instance_that_was_told_to_stop_does_not_count():
    assert Cluster((DONE, [], [allocation("failed", desired="stop"), allocation()])).follow().succeeded


def test_what_found_no_machine_is_a_failure_after_a_while_and_a_deployment_without_any_instance_too():
    blocked = Evaluation("complete", "", (FailedPlacement("g", "too little memory"),))
    assert not Cluster((blocked, [], [])).follow().succeeded
    cluster = Cluster((blocked, [deployment("running")], []))
    outcome = cluster.follow()
    assert not outcome.succeeded and 30 <= cluster.now < 32 and outcome.progress.unplaced[0].group == "g"


def test_a_scheduler_that_fails_says_why():
    outcome = Cluster((Evaluation("failed", "maximum attempts reached", ()), [], [])).follow()
    assert not outcome.succeeded and "maximum attempts reached" in outcome.message


def test_a_nomad_that_is_away_for_a_moment_is_waited_for_and_shown():
    away: Moment = (DependencyUnavailable("no leader"), [], [])
    cluster = Cluster(away, away, (DONE, [deployment("successful")], []))
    assert cluster.follow().succeeded
    assert [moment.trouble for moment in cluster.shown] == ["no leader", "no leader", None]


def test_a_nomad_that_stays_away_is_the_error_it_is():
    with pytest.raises(DependencyUnavailable):
        Cluster((DependencyUnavailable("no leader"), [], [])).follow()


def test_a_version_that_nomad_rolled_back_is_followed_until_the_old_one_runs():
    failed = [deployment("failed", "rolling back"), deployment("successful", version=2)]
    back = deployment("successful", version=4)
    outcome = Cluster((DONE, [back, *failed], [])).follow()
    assert not outcome.succeeded and "runs again, as version 4" in outcome.message


def versions(*stable: bool) -> list[JobVersion]:
    return [JobVersion(len(stable) - 1 - n, is_stable, "") for n, is_stable in enumerate(stable)]


def test_the_version_to_go_back_to_is_the_last_stable_one_before_the_newest():
    assert choose_version("web", versions(True, True), None).number == 0
    assert choose_version("web", versions(False, False, True), None).number == 0
    assert choose_version("web", versions(True, False, True), 1).number == 1
    for asked, known in ((None, versions(True)), (None, versions(True, False)), (9, versions(True, True))):
        with pytest.raises(NotFound, match="--to"):
            choose_version("web", known, asked)


HCL = """
variable "version" {
  type        = string
  description = "x { y }"
}
variable "count" {
  type    = number
  default = 1
}
variable "datacenters" {
  type = list(string)
  validation {
    condition = true
  }
}
job "x" {}
"""


def test_the_variables_of_a_job_are_found_with_their_types():
    assert declared_variables(HCL) == {"version": "string", "count": "number", "datacenters": "list(string)"}


def test_text_is_quoted_so_that_it_stays_text_and_anything_else_is_an_expression():
    text = 'a"b ${evil} %{if}\n'
    said = variables_file(JobSource(HCL, {"version": text, "count": "3", "datacenters": '["dc1"]', "unknown": "x"}))
    assert said == 'version = "a\\"b $${evil} %%{if}\\n"\ncount = 3\ndatacenters = ["dc1"]\n'


def test_a_typed_variable_that_the_job_does_not_have_is_refused_with_those_it_has():
    refuse_undeclared(HCL, {"count": "1"})
    with pytest.raises(InvalidInput, match=r"no variable 'verison'\. It has: count, datacenters, version"):
        refuse_undeclared(HCL, {"verison": "1"})
