"""Rollouts, rollbacks and drains on a real Nomad beside a real Consul."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from cloudx.cluster.adapters.consul_checks import ConsulChecks
from cloudx.cluster.adapters.nomad_jobs import NomadJobs, NomadMachines
from cloudx.cluster.drain import DrainNode, DrainProgress, has_drained
from cloudx.cluster.nomad_ports import JobSource
from cloudx.cluster.rollout import FollowRollout, RollOut, RolloutOutcome, RolloutProgress
from cloudx.cluster.status import ReadClusterStatus
from cloudx.domain.errors import DependencyUnavailable, InvalidInput, NotFound
from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN
from fixtures.servers.service import free_port
from fixtures.web_job import JOB

SECONDS = 90.0


class Web:
    """One job of the test's own, and what is done to it."""

    def __init__(self, nomad, consul) -> None:
        self.job_id = f"web-{uuid.uuid4().hex[:8]}"
        self.hcl = JOB.replace("JOB_ID", self.job_id)
        self.jobs = NomadJobs(nomad.url, None)
        self.checks = ConsulChecks(consul.url, lambda: MANAGEMENT_TOKEN)
        self.shown: list[RolloutProgress] = []

    def _use_case(self) -> RollOut:
        return RollOut(self.jobs, FollowRollout(self.jobs, self.checks, placement_seconds=3))

    def roll_out(self, seconds: float = SECONDS, **variables: str) -> RolloutOutcome:
        return self._use_case().roll_out(JobSource(self.hcl, variables), self.shown.append, seconds)

    def roll_back(self, to: int | None = None) -> RolloutOutcome:
        return self._use_case().roll_back(self.job_id, to, self.shown.append, SECONDS)

    def label(self) -> str:
        """What runs now, by the newest version's meta."""
        return self.jobs.versions(self.job_id)[0].label


@pytest.fixture
def web(nomad, consul) -> Iterator[Web]:
    one = Web(nomad, consul)
    yield one
    if any(job["ID"] == one.job_id for job in nomad.call("GET", "/v1/jobs")):
        nomad.purge(one.job_id)


def test_a_rollout_is_watched_until_the_new_version_is_healthy(web):
    assert web.roll_out(version="1").succeeded
    outcome = web.roll_out(version="2", words='["a", "b"]')
    assert outcome.succeeded and outcome.message == f"{web.job_id} runs at version 1."
    assert web.label() == "2"
    assert outcome.progress.deployment.status == "successful"
    assert any(moment.deployment and not moment.deployment.is_over for moment in web.shown)


def test_the_same_version_again_is_done_at_once(web):
    first, again = web.roll_out(), web.roll_out()
    assert first.succeeded and again.succeeded
    assert first.progress.submitted.version == again.progress.submitted.version


def test_a_version_that_fails_its_check_is_a_failure_with_the_check_s_words_and_the_old_one_runs_again(web):
    assert web.roll_out(version="good").succeeded
    outcome = web.roll_out(version="bad", path="/missing")
    assert not outcome.succeeded
    assert "version 1 was not rolled out" in outcome.message and "runs again, as version 2" in outcome.message
    (check,) = outcome.progress.failing
    assert check.name == "answers" and "File not found" in check.output
    (log,) = outcome.logs
    assert log.task == "server" and any("GET /missing" in line for line in log.lines)
    assert any(task.events for one in outcome.progress.allocations for task in one.tasks)
    assert web.label() == "good"


def test_an_instance_that_no_machine_can_take_is_a_failure_with_the_reason(web):
    outcome = web.roll_out(memory="90000000")
    assert not outcome.succeeded and "no machine takes it" in outcome.message
    (unplaced,) = outcome.progress.unplaced
    assert unplaced.group == "web" and "too little left of: memory" in unplaced.reason


def test_a_rollout_that_takes_longer_than_allowed_is_no_success(web):
    outcome = web.roll_out(seconds=0.1)
    assert not outcome.succeeded and "Nomad goes on with it" in outcome.message


def test_a_rollback_goes_to_the_last_stable_version_before_the_newest(web):
    assert web.roll_out(version="1").succeeded and web.roll_out(version="2").succeeded
    assert web.roll_back().succeeded
    assert web.label() == "1"
    assert web.roll_back(to=1).succeeded
    assert web.label() == "2"


def test_a_rollback_without_a_version_to_go_to_says_which_there_are(web):
    assert web.roll_out().succeeded
    with pytest.raises(NotFound, match=r"no stable version before the newest. It has: 0 \(stable\)"):
        web.roll_back()
    with pytest.raises(NotFound, match="no version 7"):
        web.roll_back(to=7)


def test_a_job_that_nomad_does_not_know_cannot_be_rolled_back(web):
    with pytest.raises(NotFound):
        web.roll_back()


def test_a_job_file_that_is_none_is_refused_with_nomad_s_words(web):
    web.hcl = 'job "x" {'
    with pytest.raises(InvalidInput, match="Nomad refuses it"):
        web.roll_out()


def test_a_nomad_that_is_not_there_is_said_with_its_address():
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DependencyUnavailable, match=url):
        NomadJobs(url, None).all()


def test_the_status_shows_jobs_with_their_versions_and_machines(web, nomad, consul):
    assert web.roll_out(version="7").succeeded
    state = ReadClusterStatus(web.jobs, NomadMachines(nomad.url, None), web.checks)()
    (job,) = [one for one in state.jobs if one.job_id == web.job_id]
    assert (job.type, job.running, job.desired, job.version.label, job.deployment) == (
        "service", 1, 1, "7", "successful"
    )  # fmt: skip
    assert [machine.id for machine in state.machines] == [nomad.node_id]
    assert state.checks_problem is None


@pytest.fixture
def drain_node(nomad) -> Iterator[DrainNode]:
    machines = NomadMachines(nomad.url, None)
    yield DrainNode(machines)
    machines.restore(nomad.node_id)


def test_a_drain_is_watched_until_the_machine_is_empty_and_it_takes_work_again_after(web, nomad, drain_node):
    assert web.roll_out().succeeded
    machine = drain_node.find(nomad.node_id[:8])
    shown: list[DrainProgress] = []
    progress = drain_node.drain(machine, 5, shown.append)
    assert has_drained(progress) and progress.machine.last_drain == "complete"
    assert [one.job_id for one in shown[0].left] == [web.job_id] and shown[0].total == 1
    restored = drain_node.restore(machine)
    assert restored.is_eligible and not restored.is_draining
    assert web.roll_out(version="2").succeeded


def test_a_drain_that_somebody_ends_is_not_taken_for_a_drained_machine(web, nomad, drain_node):
    assert web.roll_out().succeeded
    machine = drain_node.find(nomad.node_id)
    end_it: Callable[[DrainProgress], None] = lambda _: drain_node.machines.restore(machine.id)  # noqa: E731
    assert not has_drained(drain_node.drain(machine, 60, end_it))


def test_a_machine_that_nomad_does_not_know_is_said(drain_node):
    with pytest.raises(NotFound, match="cloudx cluster status"):
        drain_node.find("vps-99")
