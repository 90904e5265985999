"""The jobs as `make dev` runs them: healthy in Consul, routed by Fabio, rolled out and back, without a lost request."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from cloudx.devcluster.layout import DevFolder
from cloudx.devcluster.leftovers import our_processes
from fixtures.loads.steady import SteadyLoad
from fixtures.servers.cluster import NODE_CHECKS, DevCluster
from fixtures.servers.cluster_servers import ROOT
from fixtures.servers.service import free_port
from fixtures.tasks import running_scan, scan_jobs
from rig.kill import environment_of
from rig.waiting import until

ROLLOUT_SECONDS = 120


def load_on(cluster: DevCluster) -> SteadyLoad:
    return SteadyLoad(cluster.environment["CLOUDX_URL"], cluster.environment["CLOUDX_TOKEN"])


def run_job(cluster: DevCluster, name: str, **variables: str) -> None:
    options = " ".join(f"-var {shlex.quote(f'{key}={value}')}" for key, value in variables.items())
    done = cluster.shell(f"nomad job run -detach {options} jobs/{name}.nomad.hcl")
    assert done.returncode == 0, done.stdout + done.stderr


def deployment(cluster: DevCluster, job: str, field: str = "ID") -> str:
    """Of its newest version; empty where that came without one, as after another test's change of no consequence."""
    newest: dict[str, str] = cluster.nomad(f"job/{job}/deployment") or {}
    return newest.get(field, "")


def roll_out(cluster: DevCluster, job: str, **variables: str) -> dict[str, Any]:
    """Run it and wait for the end of its deployment."""
    before = deployment(cluster, job)
    run_job(cluster, job, **variables)
    until(lambda: deployment(cluster, job) not in (before, ""), 20)
    started = deployment(cluster, job)
    path = f"deployment/{started}"
    until(lambda: cluster.nomad(path)["Status"] != "running", ROLLOUT_SECONDS, lambda: cluster.nomad(path))
    ended: dict[str, Any] = cluster.nomad(path)
    return ended


def instances(cluster: DevCluster, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.consul(f"health/service/{service}")
    return found


def checks(instance: dict[str, Any]) -> dict[str, str]:
    return {check["Name"]: check["Status"] for check in instance["Checks"] if check["ServiceID"]}


def versions(cluster: DevCluster) -> set[str]:
    return {each["Service"]["Meta"]["version"] for each in instances(cluster, "cloudx-backend")}


@pytest.mark.parametrize(
    ("service", "named"),
    [("cloudx-backend", {"alive", "ready"}), ("cloudx-node", NODE_CHECKS), ("fabio", {"alive"})],
)
def test_every_instance_is_in_consul_with_its_version_its_node_and_a_check_for_each_thing(dev_cluster, service, named):
    (node,) = dev_cluster.nomad("nodes")
    found = instances(dev_cluster, service)
    assert found
    # Not the version of .dev/env: other tests of the same cluster roll out versions of their own.
    wanted = dev_cluster.nomad(f"job/{service.removeprefix('cloudx-')}")["TaskGroups"][0]["Services"][0]["Meta"]
    for instance in found:
        assert instance["Service"]["Meta"]["version"] == wanted["version"]
        assert instance["Service"]["Meta"]["node_id"] == node["ID"]
        assert set(checks(instance)) == named
        # An interface of the machine under test may well have its offloads on; nothing else may be amiss.
        assert {name for name, status in checks(instance).items() if status != "passing"} <= {"offloads"}
        assert all(check["Output"] for check in instance["Checks"] if check["ServiceID"])


def test_fabio_routes_to_the_healthy_instances_and_no_other(dev_cluster):
    def routed() -> set[str]:
        return {route["dst"] for route in requests.get("http://127.0.0.1:9998/api/routes", timeout=5).json()}

    def healthy() -> set[str]:
        found = dev_cluster.consul("health/service/cloudx-backend?passing")
        return {f"http://{each['Service']['Address']}:{each['Service']['Port']}/" for each in found}

    until(lambda: routed() == healthy() != set(), 20, lambda: (routed(), healthy()))


def test_the_machine_is_one_healthy_node_known_by_consul_nomad_and_its_heartbeats(dev_cluster):
    (node,) = dev_cluster.api("GET", "/api/nodes").json()
    assert node["status"] == "healthy" and sorted(node["sources"]) == ["consul", "heartbeat", "nomad"]
    assert {check["id"] for check in node["checks"]} >= NODE_CHECKS
    assert "raw_socket" in node["capabilities"]


def test_a_scan_asked_through_fabio_is_run_by_a_dispatched_worker(dev_cluster):
    done = dev_cluster.shell("cloudx scan 127.0.0.1 --tool nmap --ports 4646,8500 --wait --json", timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    scan = json.loads(done.stdout)
    assert scan["status"] == "completed"
    (job,) = scan_jobs(dev_cluster, scan["job_id"])
    until(lambda: dev_cluster.nomad(f"job/{job['ID']}")["Status"] == "dead", 20)
    (worker,) = dev_cluster.api("GET", f"/api/scans/{scan['job_id']}").json()["workers"]
    assert worker["node_id"] == dev_cluster.nomad("nodes")[0]["ID"]


def test_a_node_agent_s_identity_speaks_for_its_own_machine_alone(dev_cluster):
    (file,) = dev_cluster.folder.glob("nomad/alloc/*/node/secrets/nomad_cloudx.jwt")
    headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
    url = dev_cluster.environment["CLOUDX_URL"]
    body = {"node_id": "another", "hostname": "another", "ip": "10.0.0.1", "role": "worker"}
    answer = requests.post(f"{url}/api/nodes/register", json=body, headers=headers, timeout=10)
    assert answer.status_code == 403, answer.text
    assert requests.get(f"{url}/api/scans", headers=headers, timeout=10).status_code == 403


def test_no_task_s_environment_carries_a_token(dev_cluster):
    named = {"CONSUL_TOKEN", "CONSUL_HTTP_TOKEN", "NOMAD_TOKEN", "VAULT_TOKEN", "DATABASE_URL"}
    tasks = set()
    with running_scan(dev_cluster):
        for process in our_processes(DevFolder(ROOT)):
            environment = environment_of(process)
            if task := environment.get("NOMAD_TASK_NAME"):
                tasks.add(task)
                assert not [name for name in named if environment.get(name)], task
    assert tasks == {"backend", "node", "scan", "fabio"}


def test_a_rollout_loses_no_request(dev_cluster):
    with load_on(dev_cluster) as load:
        time.sleep(1)
        ended = roll_out(dev_cluster, "backend", version="next")
        time.sleep(8)  # the old instances have been let go, and ended
    assert (ended["Status"], versions(dev_cluster)) == ("successful", {"next"})
    assert load.failures == [] and load.answered > 300


def test_a_version_that_fails_its_checks_is_taken_back_and_loses_no_request(dev_cluster):
    before = versions(dev_cluster)
    # It runs and listens, but not where Nomad says: its checks never pass.
    settings = json.dumps({"CLOUDX_BIND": "127.0.0.2"})
    with load_on(dev_cluster) as load:
        ended = roll_out(dev_cluster, "backend", version="broken", healthy_deadline="12s", settings=settings)
        until(lambda: versions(dev_cluster) == before, 60, lambda: versions(dev_cluster))
        time.sleep(3)
    assert ended["Status"] == "failed" and "rolling back" in ended["StatusDescription"].lower()
    assert load.failures == [] and load.answered > 300


@pytest.fixture
def postgres_job(dev_cluster: DevCluster) -> Iterator[dict[str, str]]:
    """jobs/postgres with a volume and a password of the test's own; its variables."""
    folder = Path(tempfile.mkdtemp(prefix="cxjobs-pg-"))
    folder.chmod(0o711)
    specification = folder / "volume.json"
    capability = [{"access_mode": "single-node-writer", "attachment_mode": "file-system"}]
    volume = {"name": "cloudx-postgres", "type": "host", "host_path": str(folder), "capability": capability}
    specification.write_text(json.dumps(volume | {"node_id": dev_cluster.nomad("nodes")[0]["ID"]}))
    prepared = dev_cluster.shell(
        f"vault kv put secret/cloudx/postgres password=the-superusers && nomad volume register {specification}"
    )
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    yield {"driver": "raw_exec", "data": str(folder), "port": str(free_port())}
    (registered,) = dev_cluster.nomad("volumes?type=host")
    dev_cluster.shell("nomad job stop -purge -yes postgres")
    until(lambda: not running_allocations(dev_cluster, "postgres"), 40)
    dev_cluster.shell(f"nomad volume delete -type host {registered['ID']}; rm -rf {folder}")


def running_allocations(cluster: DevCluster, job: str) -> list[str]:
    known = cluster.nomad(f"job/{job}/allocations") if job in {j["ID"] for j in cluster.nomad("jobs")} else []
    return [each["ID"] for each in known if each["ClientStatus"] in ("running", "pending")]


def test_the_small_fleet_s_postgresql_keeps_its_data_and_asks_for_its_password(dev_cluster, postgres_job):
    def connect(password: str = "the-superusers") -> Any:
        return psycopg2.connect(
            host="127.0.0.1", port=int(postgres_job["port"]), user="postgres", password=password, connect_timeout=3
        )

    def is_up() -> bool:
        try:
            connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    run_job(dev_cluster, "postgres", **postgres_job)
    until(is_up, 60, lambda: dev_cluster.said()[-2000:])
    until(lambda: deployment(dev_cluster, "postgres", "Status") == "successful", 60)
    with closing(connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        connect("another")
    assert roll_out(dev_cluster, "postgres", **postgres_job, memory="700")["Status"] == "successful", "a new process"
    until(is_up, 60)
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM kept")
        assert cursor.fetchall() == [(42,)]
    until(lambda: [checks(i) for i in instances(dev_cluster, "cloudx-postgres")] == [{"alive": "passing"}], 20)
