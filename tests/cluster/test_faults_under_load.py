"""Faults while clients ask all the time through Fabio: no request fails (but at kill -9), and no task is killed.

Rollouts are in test_jobs.py, expiring logins in test_rotation.py, kill -9 of `make dev` in test_dev_lifecycle.py.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest
import requests

from fixtures.loads.patient import PatientLoad
from fixtures.loads.steady import SteadyLoad
from fixtures.servers.cluster import DevCluster
from fixtures.tasks import (
    completed,
    passing_instances,
    processes_of,
    report,
    running_allocations,
    running_tasks,
    scan_jobs,
    scan_workers,
    submit,
)
from rig.waiting import until

INSTANCES = 2
SEAL_SECONDS = float(os.environ.get("TEST_SEAL_SECONDS", "45"))
ALL_JOBS = ("backend", "node", "fabio")


def steady_load(cluster: DevCluster) -> SteadyLoad:
    return SteadyLoad(cluster.environment["CLOUDX_URL"], cluster.environment["CLOUDX_TOKEN"])


def patient_load(cluster: DevCluster) -> PatientLoad:
    return PatientLoad(cluster.environment["CLOUDX_URL"], cluster.environment["CLOUDX_TOKEN"])


def whole(cluster: DevCluster) -> bool:
    """Every instance of the API is healthy in Consul, and no other is left."""
    return len(passing_instances(cluster)) == len(cluster.consul("health/service/cloudx-backend")) == INSTANCES


@pytest.fixture
def cluster(dev_cluster: DevCluster) -> DevCluster:
    """The dev cluster with both instances of the API healthy."""
    until(lambda: whole(dev_cluster), 60)
    return dev_cluster


def test_a_scan_goes_on_through_a_rollout_of_the_api_and_no_request_fails(cluster):
    with steady_load(cluster) as load:
        job_id = submit(cluster)
        until(lambda: scan_workers(cluster, job_id), 40)
        rolled = cluster.shell("cloudx cluster rollout backend --version under-load", timeout=150)
        assert rolled.returncode == 0, rolled.stdout + rolled.stderr
        scan = completed(cluster, job_id, 90)
    assert load.failures == [] and load.answered > 300
    assert len(scan_jobs(cluster, job_id)) == 1, "its worker was neither ended nor doubled"
    attempts = [each["attempt"] for each in cluster.api("GET", f"/api/scans/{job_id}/coverage").json()["chunks"]]
    assert set(attempts) == {1}, "no chunk had to be run again"
    assert scan["coverage"]["completed"] == scan["coverage"]["planned"]


def test_an_instance_that_is_stopped_is_replaced_and_no_request_fails(cluster):
    (victim, _) = running_allocations(cluster, "backend")
    with steady_load(cluster) as load:
        time.sleep(1)
        stopped = cluster.shell(f"nomad alloc stop -detach {victim['ID']}")
        assert stopped.returncode == 0, stopped.stderr
        until(lambda: victim["ID"] not in {one["ID"] for one in running_allocations(cluster, "backend")}, 60)
        until(lambda: whole(cluster), 60)
    assert load.failures == [] and load.answered > 300


@pytest.fixture
def drained(cluster: DevCluster) -> Iterator[str]:
    """The machine's id, being drained; it takes work again afterwards."""
    (node,) = cluster.nomad("nodes")
    begun = cluster.shell(f"nomad node drain -enable -deadline 5m -detach -yes {node['ID']}")
    assert begun.returncode == 0, begun.stderr
    yield node["ID"]
    ended = cluster.shell(f"cloudx cluster drain {node['ID']} --off")
    assert ended.returncode == 0, ended.stderr
    until(lambda: whole(cluster), 60)


def test_a_drain_of_the_only_machine_shows_and_keeps_the_last_instance_until_its_deadline(cluster, drained):
    others = running_tasks(cluster, "node", "fabio")
    with steady_load(cluster) as load:
        until(lambda: len(running_allocations(cluster, "backend")) == 1, 30)
        until(lambda: cluster.api("GET", f"/api/nodes/{drained}").json()["status"] == "draining", 10)
        time.sleep(8)  # its shutdown_delay, and its end
    assert load.failures == [] and load.answered > 300
    assert len(running_allocations(cluster, "backend")) == 1
    assert running_tasks(cluster, "node", "fabio") == others, "Nomad takes system jobs last"


def test_kill_9_of_an_instance_costs_a_few_tries_and_every_request_is_answered_at_a_further_one(cluster):
    victims = processes_of(running_allocations(cluster, "backend")[0]["ID"], "backend")
    assert len(victims) > 1, "gunicorn's arbiter and its workers"
    with patient_load(cluster) as load:
        time.sleep(2)
        for victim in victims:
            victim.kill()
        until(lambda: not whole(cluster), 20)
        until(lambda: whole(cluster), 60)
        time.sleep(1)
    assert load.given_up == [] and load.answered > 300
    tries = load.answered + len(load.failures)
    report(
        "kill_9_failed_tries", len(load.failures), "tries", of=tries,
        longest_wait_seconds=round(load.longest_wait_seconds, 2), seconds=_span(load),
    )  # fmt: skip


def _span(load: SteadyLoad) -> float:
    """From the first failed try to the last."""
    moments = [failure.at for failure in load.failures]
    return round(max(moments) - min(moments), 2) if moments else 0.0


@pytest.fixture
def sealed_vault(cluster: DevCluster) -> Iterator[None]:
    """Vault sealed; unsealed afterwards."""
    said = (cluster.folder / "vault-first-words").read_text()
    key = re.findall(r"Unseal Key: (\S+)", said)[-1]
    address = cluster.environment["VAULT_ADDR"]
    sealed = cluster.shell("vault operator seal")
    assert sealed.returncode == 0, sealed.stderr
    yield
    opened = requests.put(f"{address}/v1/sys/unseal", json={"key": key}, timeout=10)
    assert opened.json()["sealed"] is False, opened.text


def test_while_vault_is_sealed_no_request_fails_no_task_ends_and_running_scans_go_on(cluster, request):
    before = running_tasks(cluster, *ALL_JOBS)
    with steady_load(cluster) as load:
        running = submit(cluster)
        until(lambda: scan_workers(cluster, running), 40)
        request.getfixturevalue("sealed_vault")
        began = time.monotonic()
        assert cluster.shell("vault read database/creds/worker").returncode != 0, "it is not sealed"
        asked_meanwhile = submit(cluster, ports="4646")
        completed(cluster, running, 90)
        waiting = f"/api/scans/{asked_meanwhile}"
        until(lambda: "Vault" in (cluster.api("GET", waiting).json()["waiting_reason"] or ""), 30)
        while time.monotonic() - began < SEAL_SECONDS:
            assert running_tasks(cluster, *ALL_JOBS) == before
            time.sleep(2)
    assert load.failures == [] and load.answered > 10 * SEAL_SECONDS
    report("vault_sealed_failed_requests", 0, "requests", of=load.answered, sealed_seconds=SEAL_SECONDS)


def test_after_the_seal_the_scan_that_was_asked_meanwhile_runs(cluster):
    waiting = cluster.api("GET", "/api/scans?limit=1").json()[0]
    assert completed(cluster, waiting["job_id"], 60)["waiting_reason"] is None


def test_after_the_seal_a_new_instance_gets_its_secrets_again(cluster):
    (victim, _) = running_allocations(cluster, "backend")
    assert cluster.shell(f"nomad alloc stop -detach {victim['ID']}").returncode == 0
    until(lambda: victim["ID"] not in {one["ID"] for one in running_allocations(cluster, "backend")}, 60)
    until(lambda: whole(cluster), 60)
