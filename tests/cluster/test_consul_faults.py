"""A Consul that hangs, and one that is killed and started again, while clients ask all the time through Fabio."""

from __future__ import annotations

import os
import signal
import time

import pytest
import requests

from fixtures.loads.patient import PatientLoad
from fixtures.loads.steady import SteadyLoad
from fixtures.servers.cluster import DevCluster
from fixtures.tasks import passing_instances, report, running_tasks
from rig.waiting import until

ALL_JOBS = ("backend", "node", "fabio")


@pytest.fixture
def durable(stopped_dev_cluster: DevCluster) -> DevCluster:
    """A dev cluster whose Consul keeps its state on disk, so that it can be started again."""
    cluster = stopped_dev_cluster
    if cluster.is_running() and cluster.arguments != ("--durable",):
        cluster.stop()
    if not cluster.is_running():
        cluster.start("--durable")
    until(lambda: len(passing_instances(cluster)) == 2, 60)
    return cluster


class Instance:
    """One instance of the API asked directly: what it says of Consul must not depend on Consul."""

    def __init__(self, cluster: DevCluster) -> None:
        service = passing_instances(cluster)[0]["Service"]
        self._url = f"http://{service['Address']}:{service['Port']}"
        self._node_id = cluster.nomad("nodes")[0]["ID"]
        self._headers = {"Authorization": f"Bearer {cluster.environment['CLOUDX_TOKEN']}"}

    def consul(self) -> dict[str, str]:
        """How fresh it says that its view of Consul is."""
        answer = requests.get(f"{self._url}/api/sync-status", headers=self._headers, timeout=10)
        source: dict[str, str] = answer.json()["sources"]["consul"]
        return source

    def is_stale(self) -> bool:
        """Whether /api/nodes marks this machine."""
        nodes = requests.get(f"{self._url}/api/nodes", headers=self._headers, timeout=10).json()
        (stale,) = (node["stale"] for node in nodes if node["node_id"] == self._node_id)
        return bool(stale)


def test_while_consul_hangs_no_request_fails_and_the_nodes_are_marked_stale_until_it_is_back(durable):
    instance, before = Instance(durable), running_tasks(durable, *ALL_JOBS)
    until(lambda: not instance.is_stale(), 30, instance.consul)
    pid = durable.child_pid("consul")
    with SteadyLoad(durable.environment["CLOUDX_URL"], durable.environment["CLOUDX_TOKEN"]) as load:
        os.kill(pid, signal.SIGSTOP)
        try:
            until(instance.is_stale, 30, instance.consul)
            until(lambda: instance.consul()["status"] == "error", 30, instance.consul)  # each process sees it by itself
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: not instance.is_stale(), 30, instance.consul)
    assert load.failures == [] and load.answered > 300
    assert running_tasks(durable, *ALL_JOBS) == before


def test_a_restart_of_consul_kills_no_task_and_every_request_is_answered_at_a_further_try(durable):
    before, instance = running_tasks(durable, *ALL_JOBS), Instance(durable)
    old = durable.child_pid("consul")
    with PatientLoad(durable.environment["CLOUDX_URL"], durable.environment["CLOUDX_TOKEN"]) as load:
        time.sleep(2)
        os.kill(old, signal.SIGKILL)
        until(lambda: durable.child_pid("consul") != old, 20)
        until(lambda: _answers(durable), 60, lambda: durable.said()[-2000:])
        until(lambda: instance.consul()["status"] == "active" and not instance.is_stale(), 30, instance.consul)
        time.sleep(3)
    moments = [failure.at for failure in load.failures]
    report(
        "consul_restart_failed_tries", len(load.failures), "tries", of=load.answered + len(load.failures),
        seconds=round(max(moments) - min(moments), 2) if moments else 0,
        longest_wait_seconds=round(load.longest_wait_seconds, 2),
    )  # fmt: skip
    assert load.given_up == [] and load.answered > 300
    assert running_tasks(durable, *ALL_JOBS) == before


def _answers(cluster: DevCluster) -> bool:
    try:
        return len(passing_instances(cluster)) == 2
    except (AssertionError, requests.RequestException):
        return False
