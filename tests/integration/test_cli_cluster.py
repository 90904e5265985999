"""`cloudx cluster` against a real Nomad and a real Consul: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN
from fixtures.servers.service import CLOUDX, free_port
from fixtures.web_job import JOB
from rig.environment import clean_environment

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(nomad, consul, tmp_path) -> Run:
    """Runs `cloudx cluster …` in a folder with a jobs/ of its own."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        cluster = {"NOMAD_ADDR": nomad.url, "CONSUL_HTTP_ADDR": consul.url, "CONSUL_HTTP_TOKEN": MANAGEMENT_TOKEN}
        env = clean_environment(**(cluster | settings))
        command = [*CLOUDX, "cluster", *arguments]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def job_id(nomad, tmp_path: Path) -> Iterator[str]:
    """A job of the test's own, as jobs/web.nomad.hcl."""
    name = f"web-{uuid.uuid4().hex[:8]}"
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "web.nomad.hcl").write_text(JOB.replace("JOB_ID", name))
    yield name
    if any(job["ID"] == name for job in nomad.call("GET", "/v1/jobs")):
        nomad.purge(name)


def test_a_rollout_a_failed_one_and_a_rollback_end_with_what_came_of_them(run, job_id):
    first = run("rollout", "web", "--version", "1", NOMAD_VAR_words='["a"]', NOMAD_VAR_of_another_job="x")
    assert first.returncode == 0, first.stderr
    assert "running, web 0/1 healthy" in first.stderr and "runs at version 0" in first.stderr

    bad = run("rollout", "jobs/web.nomad.hcl", "--version", "2", "--var", "path=/missing")
    assert bad.returncode == 1
    for said in ("check failed: ", "answers: ", "File not found", "last lines: ", "GET /missing", "runs again"):
        assert said in bad.stderr, bad.stderr
    assert "(rollout_failed)" in bad.stderr.splitlines()[-1]

    shown = run("status", "--json")
    (job,) = [one for one in json.loads(shown.stdout)["jobs"] if one["job_id"] == job_id]
    assert job["version"]["label"] == "1" and (job["running"], job["desired"]) == (1, 1)
    assert job_id in run("status").stdout

    assert run("rollout", "web", "--version", "3").returncode == 0
    back = run("rollback", job_id, "--json")
    assert back.returncode == 0 and json.loads(back.stdout)["succeeded"] is True


def test_what_finds_no_machine_is_said_while_it_waits(run, job_id):
    done = run("rollout", "web", "--var", "memory=90000000", "--timeout", "3")
    assert done.returncode == 1
    assert "not placed: web: 1 of 1 machines have too little left of: memory" in done.stderr


def test_a_drain_says_when_the_machine_is_empty_and_off_brings_it_back(run, nomad, job_id):
    assert run("rollout", "web").returncode == 0
    try:
        done = run("drain", nomad.node_id[:8], "--deadline", "3")
        assert done.returncode == 0 and "is empty" in done.stderr, done.stderr
        assert "ready, gets no work" in run("status").stdout
    finally:
        back = run("drain", nomad.node_id, "--off")
    assert back.returncode == 0 and "takes work again" in back.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rollout", "nothing"), 2, "jobs/nothing.nomad.hcl cannot be read"),
        (("rollout", "web", "--var", "verison=2"), 2, "has no variable 'verison'"),
        (("rollout", "web", "--var", "version"), 2, "--var takes NAME=VALUE"),
        (("rollout", "web", "--var", "memory=lots"), 2, "Nomad refuses it"),
        (("rollback", "nothing"), 1, "not_found"),
        (("drain", "nothing"), 1, "cloudx cluster status"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_its_remedy(run, job_id, arguments, code, said):
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_without_a_nomad_it_says_where_it_looked(run, job_id):
    url = f"http://127.0.0.1:{free_port()}"
    for arguments in (("status",), ("rollout", "web"), ("rollback", "web"), ("drain", "x")):
        done = run(*arguments, NOMAD_ADDR=url)
        assert done.returncode == 1 and f"{url} does not answer" in done.stderr


def test_without_a_consul_the_status_is_shown_and_says_what_it_does_not_know(run, job_id):
    done = run("status", CONSUL_HTTP_ADDR=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0 and "The checks are not known" in done.stderr and "MACHINE" in done.stdout
