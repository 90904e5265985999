"""Dispatching and ending scan jobs: the same promises kept by a real Nomad and by the fake one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudx.adapters.nomad.scan_jobs import NomadScanJobs
from cloudx.domain.dispatch.states import Child, DispatchOutcome, Placement
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.dispatch.ports import ScanJobs
from fixtures.fakes.scan_jobs import FakeScanJobs
from fixtures.servers.cluster_servers import NomadServer
from fixtures.servers.service import free_port
from rig.waiting import until

HUGE_MB = 100_000_000


@dataclass
class Setting:
    """The jobs under test, and what the test does to their workers."""

    jobs: ScanJobs
    take_room: Callable[[], None]
    finish: Callable[[str], None]  # the worker of a job ends well
    crash: Callable[[str], None]

    def dispatch(self) -> tuple[str, str]:
        token = uuid.uuid4().hex
        return self.jobs.dispatch(str(uuid.uuid4()), token), token

    def child(self, job_id: str) -> Child | None:
        return next((each for each in self.jobs.children() if each.nomad_job_id == job_id), None)

    def wait_for(self, job_id: str, placement: Placement) -> None:
        until(lambda: (child := self.child(job_id)) and child.placement is placement, 20, lambda: self.child(job_id))

    def wait_gone(self, job_id: str) -> None:
        until(lambda: self.child(job_id) is None, 20)


def job_document(folder: Path, memory_mb: int = 20) -> dict[str, Any]:
    """jobs/scan in small: its worker waits for a file of its scan's name, which says how it ends."""
    script = 'while [ ! -e "$0/$NOMAD_META_scan_id" ]; do sleep 0.1; done; exit $(cat "$0/$NOMAD_META_scan_id")'
    task = {
        "Name": "scan",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sh", "args": ["-c", script, str(folder)]},
        "Resources": {"CPU": 20, "MemoryMB": memory_mb},
        "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
    }
    group = {
        "Name": "scan",
        "Tasks": [task],
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "ReschedulePolicy": {"Attempts": 0, "Unlimited": False},
        "EphemeralDisk": {"SizeMB": 10},
    }
    return {
        "ID": "scan",
        "Type": "batch",
        "Datacenters": ["*"],
        "ParameterizedJob": {"Payload": "forbidden", "MetaRequired": ["scan_id"], "MetaOptional": ["dispatch"]},
        "TaskGroups": [group],
    }


@pytest.fixture
def real(nomad: NomadServer, tmp_path: Path) -> Iterator[Setting]:
    jobs = NomadScanJobs(nomad.url, lambda: None)

    def run(**more: int) -> None:
        nomad.call("PUT", "/v1/jobs", {"Job": job_document(tmp_path, **more)})

    def end(job_id: str, code: int) -> None:
        scan_id = nomad.call("GET", f"/v1/job/{job_id}")["Meta"]["scan_id"]
        (tmp_path / scan_id).write_text(str(code))

    run()
    yield Setting(jobs, lambda: run(memory_mb=HUGE_MB), lambda job: end(job, 0), lambda job: end(job, 3))
    for stub in nomad.call("GET", "/v1/jobs?prefix=scan"):
        nomad.purge(stub["ID"])


@pytest.fixture
def fake() -> Setting:
    jobs = FakeScanJobs()
    return Setting(
        jobs,
        lambda: setattr(jobs, "has_room", False),
        lambda job: jobs.end(job, DispatchOutcome.FINISHED, "node/allocation"),
        lambda job: jobs.end(job, DispatchOutcome.FAILED, "node/allocation"),
    )


@pytest.fixture(params=["fake", "real"])
def setting(request: pytest.FixtureRequest) -> Setting:
    chosen: Setting = request.getfixturevalue(request.param)
    return chosen


def test_a_dispatched_worker_runs_and_is_known_by_its_token(setting):
    job_id, token = setting.dispatch()
    setting.wait_for(job_id, Placement.RUNNING)
    assert [child.token for child in setting.jobs.children() if child.nomad_job_id == job_id] == [token]


def test_the_same_token_again_starts_no_second_worker_dead_or_alive(setting):
    job_id, token = setting.dispatch()
    assert setting.jobs.dispatch("another scan", token) == job_id
    assert len(setting.jobs.children()) == 1
    setting.jobs.stop(job_id)
    setting.wait_gone(job_id)
    assert setting.jobs.dispatch("another scan", token) == job_id
    assert setting.jobs.children() == []


def test_different_tokens_start_different_workers_of_one_scan(setting):
    scan_id = str(uuid.uuid4())
    first, second = (setting.jobs.dispatch(scan_id, uuid.uuid4().hex) for _ in range(2))
    assert first != second and len(setting.jobs.children()) == 2


def test_after_the_wait_for_a_place_a_worker_has_one_and_one_without_room_has_been_looked_at(setting):
    job_id, _ = setting.dispatch()
    setting.jobs.wait_until_placed([job_id])
    assert setting.child(job_id).placement in (Placement.STARTING, Placement.RUNNING)
    setting.take_room()
    unplaced, _ = setting.dispatch()
    setting.jobs.wait_until_placed([unplaced])
    assert unplaced in setting.jobs.no_room([unplaced])


def test_a_worker_that_is_stopped_is_gone_and_ended_so(setting):
    job_id, _ = setting.dispatch()
    setting.wait_for(job_id, Placement.RUNNING)
    setting.jobs.stop(job_id)
    setting.wait_gone(job_id)
    assert setting.jobs.ending(job_id).outcome is DispatchOutcome.STOPPED
    setting.jobs.stop(job_id)


def test_how_a_worker_ended_by_itself_is_told(setting):
    well, badly = setting.dispatch()[0], setting.dispatch()[0]
    for job_id, end in ((well, setting.finish), (badly, setting.crash)):
        setting.wait_for(job_id, Placement.RUNNING)
        end(job_id)
        setting.wait_gone(job_id)
    assert setting.jobs.ending(well).outcome is DispatchOutcome.FINISHED
    ended = setting.jobs.ending(badly)
    assert ended.outcome is DispatchOutcome.FAILED and ended.is_dead and ended.worker_id


def test_where_there_is_no_room_it_waits_with_the_reason_and_is_withdrawn_so(setting):
    setting.take_room()
    job_id, _ = setting.dispatch()
    until(lambda: job_id in setting.jobs.no_room([job_id]), 20)
    assert "too little left of: memory" in setting.jobs.no_room([job_id])[job_id]
    setting.wait_for(job_id, Placement.WAITING)
    setting.jobs.stop(job_id)
    setting.wait_gone(job_id)
    assert setting.jobs.ending(job_id).outcome is DispatchOutcome.NO_ROOM
    assert job_id not in setting.jobs.no_room([job_id])


def test_where_a_worker_runs_is_told_while_it_runs(setting):
    job_id, _ = setting.dispatch()
    setting.wait_for(job_id, Placement.RUNNING)
    assert setting.jobs.machines([job_id])[job_id]
    setting.jobs.stop(job_id)
    until(lambda: job_id not in setting.jobs.machines([job_id]), 20)


def test_what_nomad_never_knew_is_gone(setting):
    assert setting.jobs.ending("scan/dispatch-0-unknown").outcome is DispatchOutcome.GONE
    setting.jobs.stop("scan/dispatch-0-unknown")


def test_a_failed_worker_s_last_words_name_its_exit_code_and_its_machine(real, nomad):
    job_id, _ = real.dispatch()
    real.wait_for(job_id, Placement.RUNNING)
    (node,) = nomad.call("GET", "/v1/nodes")
    assert real.jobs.last_words(job_id).endswith(f"on {node['Name']}")
    real.crash(job_id)
    real.wait_gone(job_id)
    ended = real.jobs.ending(job_id)
    (allocation,) = nomad.call("GET", f"/v1/job/{job_id}/allocations")
    assert allocation["NodeID"] == node["ID"]
    assert "Exit Code: 3" in ended.detail and node["Name"] in ended.detail
    assert ended.worker_id == f"{node['ID']}/{allocation['ID']}"


def test_without_the_job_the_remedy_is_to_run_it(nomad):
    jobs = NomadScanJobs(nomad.url, lambda: None, job="scan-that-nobody-ran")
    with pytest.raises(DependencyUnavailable, match=r"nomad job run jobs/scan\.nomad\.hcl"):
        jobs.dispatch("s", "t")


def test_a_stopped_job_is_run_again_by_its_remedy(real, nomad):
    nomad.call("DELETE", "/v1/job/scan")
    with pytest.raises(DependencyUnavailable, match=r"nomad job run jobs/scan\.nomad\.hcl"):
        real.dispatch()


def test_a_nomad_that_is_not_there_is_said_with_its_address():
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DependencyUnavailable, match=url):
        NomadScanJobs(url, lambda: None).children()


def test_a_job_that_is_asked_for_is_found_whatever_else_there_is(setting):
    first, second = setting.dispatch()[0], setting.dispatch()[0]
    assert first in {child.nomad_job_id for child in setting.jobs.children([first])}
    assert {first, second} <= {child.nomad_job_id for child in setting.jobs.children([first, second])}
    assert setting.jobs.children([]) == [] and setting.jobs.children(["scan/dispatch-1-0"]) == []
    setting.jobs.stop(first)
    until(lambda: first not in {child.nomad_job_id for child in setting.jobs.children([first])}, 20)
