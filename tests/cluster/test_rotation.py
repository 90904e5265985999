"""Database logins of Vault's with short lives: API and workers take up each new one, and no request fails."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from fixtures.loads.steady import SteadyLoad
from fixtures.servers.cluster import DevCluster
from fixtures.tasks import scan_workers, submit
from rig.waiting import until

TTL_SECONDS, MAX_TTL_SECONDS = 15, 30
ROLES = {"backend": "backend", "scan": "worker"}  # by task
WATCHED_SECONDS = 75  # two whole lives of a login and the beginning of a third


@pytest.fixture
def short_lived_logins(stopped_dev_cluster: DevCluster) -> DevCluster:
    if stopped_dev_cluster.is_running():
        stopped_dev_cluster.stop()
    stopped_dev_cluster.start("--login-ttl", f"{TTL_SECONDS}s", "--login-max-ttl", f"{MAX_TTL_SECONDS}s")
    return stopped_dev_cluster


def login_of(cluster: DevCluster, task: str) -> str:
    """The user in the file that Nomad rendered for a task that runs."""
    return file_of(cluster, task).read_text().partition("//")[2].partition(":")[0]


def file_of(cluster: DevCluster, task: str) -> Path:
    """The newest of them: each instance has its own."""
    return max(cluster.folder.glob(f"nomad/alloc/*/{task}/secrets/database_url"), key=lambda file: file.stat().st_mtime)


def sessions(cluster: DevCluster, role: str) -> set[str]:
    """The logins of a role that have a session now, asked by the backend's own login."""
    with (
        closing(psycopg2.connect(file_of(cluster, "backend").read_text())) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT DISTINCT usename::text FROM pg_stat_activity WHERE application_name = 'cloudx'")
        return {name for (name,) in cursor.fetchall() if name and f"-{role}-" in name}


def test_logins_that_run_out_are_replaced_under_load_without_a_failed_request_or_a_restart(short_lived_logins):
    cluster = short_lived_logins
    scan_id = submit(cluster, ports="1-8000")  # longer than it is watched
    until(lambda: scan_workers(cluster, scan_id), 30)
    (worker,) = scan_workers(cluster, scan_id)
    first = {task: login_of(cluster, task) for task in ROLES}
    seen: dict[str, set[str]] = {task: set() for task in ROLES}
    with SteadyLoad(cluster.environment["CLOUDX_URL"], cluster.environment["CLOUDX_TOKEN"]) as load:
        deadline = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < deadline:
            for task, logins in seen.items():
                logins.update(sessions(cluster, ROLES[task]))
            time.sleep(2)
    assert load.failures == [] and load.answered > 1000
    for task, logins in seen.items():
        assert len(logins) >= 3, f"{task}: {logins}"
        assert login_of(cluster, task) != first[task]
    for job in ("backend", worker["JobID"]):
        for allocation in cluster.nomad(f"job/{job}/allocations"):
            assert sum(state["Restarts"] for state in allocation["TaskStates"].values()) == 0
    assert [each["ID"] for each in scan_workers(cluster, scan_id)] == [worker["ID"]]
    cluster.api("DELETE", f"/api/scans/{scan_id}")
    until(lambda: first["backend"] not in sessions(cluster, "backend"), 10)
    scan = cluster.shell("cloudx scan 127.0.0.1 --tool nmap --ports 4646 --wait", timeout=60)
    assert scan.returncode == 0, scan.stdout + scan.stderr
