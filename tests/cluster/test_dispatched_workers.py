"""Scans by dispatched workers: who dies in between, a Nomad without room, and what the backend may ask of Nomad."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import requests

from fixtures.servers.cluster import DevCluster
from fixtures.tasks import (
    completed,
    passing_instances,
    processes_of,
    report,
    running_allocations,
    running_scan,
    scan_jobs,
    scan_workers,
    submit,
)
from rig.kill import kill
from rig.waiting import until

SHORT = {"ports": "4646,8500", "rate": 1000}
STOP_SECONDS = 5


@pytest.fixture
def cluster(dev_cluster: DevCluster) -> DevCluster:
    """The dev cluster with both instances of the API healthy, and its node heard again."""
    until(lambda: len(passing_instances(dev_cluster)) == 2, 150)  # Nomad holds back what it restarted often
    until(lambda: [n["status"] for n in dev_cluster.api("GET", "/api/nodes").json()] == ["healthy"], 20)
    return dev_cluster


def kill_the_backend(cluster: DevCluster) -> None:
    """Every process of every instance, as a power cut would."""
    victims = [one for each in running_allocations(cluster, "backend") for one in processes_of(each["ID"], "backend")]
    assert len(victims) >= 4, "an arbiter and its workers, twice"
    kill(victims)


def patiently(cluster: DevCluster, seconds: float = 120) -> None:
    """Until the API answers again."""

    def answers() -> bool:
        try:
            return cluster.api("GET", "/api/ready").status_code == 200
        except requests.RequestException:
            return False

    until(answers, seconds)


def rows(cluster: DevCluster, scan_id: str) -> list[dict[str, Any]]:
    """The ledger's dispatches of a scan."""
    password = (cluster.folder / "postgres-password").read_text().strip()
    with closing(
        psycopg2.connect(host="127.0.0.1", port=54329, user="postgres", password=password, dbname="cloudx")
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("SELECT to_jsonb(d) FROM dispatches d WHERE scan_id = %s ORDER BY serial", (scan_id,))
        return [row for (row,) in cursor.fetchall()]


def shown(cluster: DevCluster, scan_id: str) -> dict[str, Any]:
    scan: dict[str, Any] = cluster.api("GET", f"/api/scans/{scan_id}").json()
    return scan


def no_row_has_two_jobs(cluster: DevCluster, scan_id: str) -> bool:
    """And no job is there without its row. A row whose scan was over before anybody recorded its job is `unneeded`."""
    tokens = [job["Meta"]["dispatch"] for job in scan_jobs(cluster, scan_id)]
    asked = {row["token"]: row["outcome"] for row in rows(cluster, scan_id)}
    without = set(asked) - set(tokens)
    return len(set(tokens)) == len(tokens) and set(tokens) <= set(asked) and {asked[t] for t in without} <= {"unneeded"}


def test_the_backend_killed_right_after_it_answered_loses_no_scan(cluster):
    scan_id = submit(cluster, **SHORT)
    kill_the_backend(cluster)
    patiently(cluster)
    completed(cluster, scan_id, 60)
    assert no_row_has_two_jobs(cluster, scan_id) and len(rows(cluster, scan_id)) == 1


@pytest.mark.parametrize("after_seconds", [0.05, 0.2, 0.6])
def test_the_backend_killed_while_it_dispatches_starts_no_worker_twice(cluster, after_seconds):
    scans = [submit(cluster, **SHORT) for _ in range(4)]
    time.sleep(after_seconds)
    kill_the_backend(cluster)
    patiently(cluster)
    for scan_id in scans:
        completed(cluster, scan_id, 90)
        assert no_row_has_two_jobs(cluster, scan_id), (scan_jobs(cluster, scan_id), rows(cluster, scan_id))


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/scans/{}/stop"), ("DELETE", "/api/scans/{}")])
def test_the_workers_of_a_scan_that_is_stopped_or_deleted_are_gone_within_seconds(cluster, method, path):
    with running_scan(cluster) as scan_id:
        (worker,) = scan_workers(cluster, scan_id)
        until(lambda: shown(cluster, scan_id)["status"] == "running", 20)
        processes = processes_of(worker["ID"], "scan")
        assert processes
        assert cluster.api(method, path.format(scan_id)).status_code == 200
        began = time.monotonic()
        _, alive = psutil.wait_procs(processes, STOP_SECONDS)
        assert alive == []
        report("stop_to_worker_gone", round(time.monotonic() - began, 2), "s", by=method)
        until(lambda: all(row["state"] == "ended" for row in rows(cluster, scan_id)), 10)


def test_a_worker_killed_with_9_is_replaced_and_its_chunk_is_free_at_once(cluster):
    scan_id = submit(cluster)
    until(lambda: shown(cluster, scan_id)["status"] == "running", 30)
    until(lambda: scan_workers(cluster, scan_id), 10)
    (worker,) = scan_workers(cluster, scan_id)
    began = time.monotonic()
    for process in processes_of(worker["ID"], "scan"):
        process.kill()
    until(lambda: len(scan_jobs(cluster, scan_id)) == 2, 15)
    report("killed_worker_replaced", round(time.monotonic() - began, 2), "s")
    scan = completed(cluster, scan_id, 90)
    assert scan["coverage"]["completed"] == scan["coverage"]["planned"]
    assert rows(cluster, scan_id)[0]["outcome"] == "failed"
    (chunk,) = cluster.api("GET", f"/api/scans/{scan_id}/coverage").json()["chunks"]
    assert [attempt["outcome"] for attempt in chunk["attempts"]] == ["lost", "done"]


@pytest.fixture
def no_room(cluster: DevCluster) -> Iterator[None]:
    """jobs/scan asks for what no machine has; as before afterwards."""
    asked = cluster.shell("nomad job run -detach -var memory=10000000 jobs/scan.nomad.hcl")
    assert asked.returncode == 0, asked.stderr
    yield
    assert cluster.shell("nomad job run -detach jobs/scan.nomad.hcl").returncode == 0


def test_while_nomad_has_no_room_the_scan_says_so_and_goes_on_by_itself_later(cluster, request):
    request.getfixturevalue("no_room")
    scan_id = submit(cluster, **SHORT)
    until(lambda: shown(cluster, scan_id)["waiting_reason"], 15, lambda: shown(cluster, scan_id))
    reason = shown(cluster, scan_id)["waiting_reason"]
    assert reason.startswith("Nomad has no room for 1 worker more: ") and "memory" in reason
    assert "Nomad has no room" in cluster.shell(f"cloudx show {scan_id}").stdout
    time.sleep(6)  # one was withdrawn and asked for anew
    assert 1 <= len([job for job in scan_jobs(cluster, scan_id) if job["Status"] != "dead"]) <= 1
    assert shown(cluster, scan_id)["waiting_reason"] == reason
    assert cluster.shell("nomad job run -detach jobs/scan.nomad.hcl").returncode == 0
    assert completed(cluster, scan_id, 60)["waiting_reason"] is None
    outcomes = [row["outcome"] for row in rows(cluster, scan_id)]
    assert set(outcomes[:-1]) == {"no_room"} and outcomes[-1] != "no_room"


def test_a_nomad_that_hangs_holds_a_scan_up_with_the_reason_and_starts_nothing_twice(cluster):
    pid = cluster.child_pid("nomad")
    os.kill(pid, signal.SIGSTOP)
    try:
        scan_id = submit(cluster, **SHORT)
        until(lambda: shown(cluster, scan_id)["waiting_reason"], 40, lambda: shown(cluster, scan_id))
        assert "does not answer" in shown(cluster, scan_id)["waiting_reason"]
    finally:
        os.kill(pid, signal.SIGCONT)
    patiently(cluster)  # a Nomad that hung for half a minute takes its own machine for lost and starts Fabio anew
    completed(cluster, scan_id, 60)
    assert no_row_has_two_jobs(cluster, scan_id)


class BackendsToken:
    """Nomad, asked with the workload identity of the backend."""

    def __init__(self, cluster: DevCluster) -> None:
        allocation = running_allocations(cluster, "backend")[0]["ID"]
        self.token = (cluster.folder / f"nomad/alloc/{allocation}/backend/secrets/nomad_token").read_text().strip()
        self._address = cluster.environment["NOMAD_ADDR"]

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"X-Nomad-Token": self.token}
        return requests.request(method, f"{self._address}/v1/{path}", json=body, headers=headers, timeout=10)


@pytest.fixture
def bystander(cluster: DevCluster, tmp_path: Path) -> Iterator[str]:
    """A job that has nothing to do with scans."""
    task = {"Name": "sleep", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["600"]},
            "Resources": {"CPU": 20, "MemoryMB": 10}}  # fmt: skip
    group = {"Name": "sleep", "Tasks": [task]}
    document = {"Job": {"ID": "bystander", "Type": "batch", "Datacenters": ["*"], "TaskGroups": [group]}}
    (tmp_path / "bystander.json").write_text(json.dumps(document))
    run = cluster.shell(f"nomad job run -json -detach {tmp_path}/bystander.json")
    assert run.returncode == 0, run.stderr
    until(lambda: running_allocations(cluster, "bystander"), 20)
    yield "bystander"
    cluster.shell("nomad job stop -purge -yes bystander")


def test_the_backend_s_identity_may_neither_submit_nor_change_nor_purge_a_job_nor_enter_one(cluster, bystander):
    ask = BackendsToken(cluster)
    job = cluster.nomad(f"job/{bystander}")
    (allocation,) = running_allocations(cluster, bystander)
    node = cluster.nomad("nodes")[0]["ID"]
    for method, path, body in [
        ("PUT", "jobs", {"Job": job | {"ID": "intruder", "Name": "intruder"}}),
        ("PUT", f"job/{bystander}", {"Job": job}),
        ("PUT", f"job/{bystander}/plan", {"Job": job}),
        ("PUT", f"job/{bystander}/scale", {"Count": 2, "Target": {"Group": "sleep"}}),
        ("PUT", f"job/{bystander}/revert", {"JobID": bystander, "JobVersion": 0}),
        ("DELETE", f"job/{bystander}?purge=true", None),
        ("PUT", f"allocation/{allocation['ID']}/stop", None),
        ("GET", f"client/fs/ls/{allocation['ID']}?path=/", None),
        ("GET", f"client/fs/logs/{allocation['ID']}?task=sleep&type=stdout", None),
        ("PUT", f"node/{node}/eligibility", {"Eligibility": "ineligible"}),
        ("PUT", f"node/{node}/drain", {"DrainSpec": {"Deadline": 1}}),
        ("GET", "acl/tokens", None),
        ("GET", "vars", None),
        ("PUT", "system/gc", None),
    ]:
        answer = ask(method, path, body)
        refused = answer.status_code == 403 or (path == "vars" and answer.json() == [])
        assert refused, f"{method} {path}: {answer.status_code} {answer.text[:200]}"
    for path in ("nodes", "jobs", "allocations", f"job/{bystander}"):
        assert ask("GET", path).status_code == 200, path
    assert running_allocations(cluster, bystander)


def test_nomad_has_no_rights_by_job_so_the_backend_s_identity_could_stop_any_as_docs_security_says(cluster, bystander):
    assert BackendsToken(cluster)("DELETE", f"job/{bystander}").status_code == 200
    security = (Path(__file__).parent.parent.parent / "docs/security.md").read_text()
    assert "`deregister-job`" in security and "namespace of its own" in security


def test_a_worker_has_its_database_login_and_no_other_secret(cluster):
    with running_scan(cluster) as scan_id:
        (worker,) = scan_workers(cluster, scan_id)
        files = cluster.folder.glob(f"nomad/alloc/{worker['ID']}/scan/secrets/*")
        readable = {file.name for file in files if file.is_file() and not file.name.startswith(".")}
        assert readable == {"database_url"}, "no token for Nomad, Consul or Vault"
