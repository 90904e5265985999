"""From asking for a scan to its first packet at the target: on the cluster of the shell (`source .dev/env`, or
.rig/env), else on a dev cluster of its own.

Needs root. Makes a target network of its own, unless `--namespace cxtgt --targets 10.77.0.0/16` names one that is there
(the rig's). Each scan has an address of its own, so its first SYN is known by it.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import random
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests

from fixtures.servers.cluster import DevCluster, wait_for_the_machine
from fixtures.servers.network import enter_namespace
from fixtures.tasks import passing_instances
from rig.waiting import until

SCANS = 20
GOAL_SECONDS = {"raw_exec": 1.5, "docker": 2.5}
OWN_NAMESPACE, OWN_LINK, OWN_TARGETS = "cxfirst", "cxfirst0", "10.79.1.0/24"
_ETH_P_IP = 0x0800
_SYN = 0x02


class FirstSyns:
    """When the first SYN for each address arrived in a namespace, by this machine's clock."""

    def __init__(self, namespace: str) -> None:
        self.at: dict[str, float] = {}
        self._namespace = namespace
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        assert self._ready.wait(5), f"the namespace {namespace} cannot be listened to"

    def _listen(self) -> None:
        with open(f"/run/netns/{self._namespace}") as there:
            enter_namespace(there.fileno())
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as packets:
            self._ready.set()
            while True:
                packet = packets.recv(128)
                header = (packet[0] & 0x0F) * 4
                if packet[9] == socket.IPPROTO_TCP and packet[header + 13] & _SYN:
                    self.at.setdefault(socket.inet_ntoa(packet[16:20]), time.time())


@contextmanager
def own_targets() -> Iterator[str]:
    """A namespace that answers on OWN_TARGETS, with a route to it."""
    ip("netns", "add", OWN_NAMESPACE)
    try:
        ip("link", "add", OWN_LINK, "type", "veth", "peer", "name", "eth0", "netns", OWN_NAMESPACE)
        for where, name, address in (((), OWN_LINK, "10.79.0.1/24"), (("-n", OWN_NAMESPACE), "eth0", "10.79.0.2/24")):
            ip(*where, "addr", "add", address, "dev", name)
            ip(*where, "link", "set", name, "up")
        off = ["tso", "off", "gso", "off", "gro", "off"]
        subprocess.run(["ethtool", "-K", OWN_LINK, *off], check=True)
        ip("-n", OWN_NAMESPACE, "link", "set", "lo", "up")
        ip("-n", OWN_NAMESPACE, "route", "add", "local", OWN_TARGETS, "dev", "lo")
        ip("route", "add", OWN_TARGETS, "via", "10.79.0.2")
        yield OWN_NAMESPACE
    finally:
        ip("netns", "delete", OWN_NAMESPACE)


@contextmanager
def cluster_of_the_shell_or_own(driver: str) -> Iterator[Mapping[str, str]]:
    """What a shell knows of it; `driver` is how one of its own runs the jobs."""
    if "CLOUDX_URL" in os.environ:
        yield os.environ
        return
    with tempfile.TemporaryDirectory() as folder, wait_for_the_machine():
        cluster = DevCluster(Path(folder))
        cluster.start_by_make(f"DRIVER={driver}")
        try:
            until(lambda: len(passing_instances(cluster)) == 2, 60)
            yield cluster.environment
        finally:
            cluster.stop()


def ip(*arguments: str) -> None:
    """One step; fails when it fails."""
    subprocess.run(["ip", *arguments], check=True)


class Cluster:
    """The API, and Nomad where its address is known, by the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._url = environment["CLOUDX_URL"]
        self._api = requests.Session()
        self._api.headers["Authorization"] = f"Bearer {environment['CLOUDX_TOKEN']}"

    def submit(self, target: str, tool: str) -> str:
        """The scan's id."""
        body: dict[str, Any] = {"target": target, "tool": tool, "port": "80"}
        answer = self._api.post(f"{self._url}/api/scans", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def is_over(self, scan_id: str) -> bool:
        """Whether it has ended, and well."""
        status = self._api.get(f"{self._url}/api/scans/{scan_id}", timeout=30).json()["status"]
        assert status not in ("failed", "stopped"), status
        return bool(status == "completed")

    def task_started_at(self, scan_id: str) -> float | None:
        """When Nomad started the worker's process."""
        for job in self._nomad("jobs?prefix=scan/dispatch-&meta=true"):
            if (job.get("Meta") or {}).get("scan_id") == scan_id:
                allocations = self._nomad(f"job/{job['ID']}/allocations")
                started = [state["StartedAt"] for each in allocations for state in (each["TaskStates"] or {}).values()]
                return min(datetime.fromisoformat(one[:26].rstrip("Z") + "+00:00").timestamp() for one in started)
        return None

    def _nomad(self, path: str) -> Any:
        if "NOMAD_ADDR" not in self._environment:
            return []
        headers = {"X-Nomad-Token": self._environment.get("NOMAD_TOKEN", "")}
        return requests.get(f"{self._environment['NOMAD_ADDR']}/v1/{path}", headers=headers, timeout=10).json()


def measure(cluster: Cluster, syns: FirstSyns, targets: list[str], tool: str) -> dict[str, list[float]]:
    """Seconds from the POST: until its answer, until the worker's process, until the first packet."""
    taken: dict[str, list[float]] = {"submit_to_answer": [], "submit_to_task": [], "submit_to_first_packet": []}
    for target in targets:
        time.sleep(random.uniform(0.0, 1.0))  # in no step with anybody's polling
        begun = time.time()
        scan_id = cluster.submit(target, tool)
        taken["submit_to_answer"].append(time.time() - begun)
        until(partial(syns.at.__contains__, target), 60)
        taken["submit_to_first_packet"].append(syns.at[target] - begun)
        until(partial(cluster.is_over, scan_id), 60)
        if started_at := cluster.task_started_at(scan_id):
            taken["submit_to_task"].append(started_at - begun)
    return taken


def report(taken: dict[str, list[float]], tool: str, driver: str) -> None:
    """A JSON line a figure."""
    for name, seconds in taken.items():
        for percent in (50, 95) if len(seconds) > 1 else ():
            value = statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]
            is_the_one = name == "submit_to_first_packet" and percent == 95
            line = {
                "name": f"{name}_p{percent}", "value": round(value, 3), "unit": "s", "tool": tool,
                "driver": driver, "scans": len(seconds), "goal": f"<= {GOAL_SECONDS[driver]}" if is_the_one else "",
            }  # fmt: skip
            print(json.dumps(line), flush=True)


def main() -> None:
    """Prints p50 and p95 of each part."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scans", type=int, default=SCANS)
    options.add_argument("--tool", default="masscan")
    options.add_argument("--driver", choices=GOAL_SECONDS, default="raw_exec", help="what the cluster runs jobs by")
    options.add_argument("--namespace", help="where the targets are, instead of a namespace of its own")
    options.add_argument("--targets", default=OWN_TARGETS)
    asked = options.parse_args()
    hosts = list(ipaddress.ip_network(asked.targets).hosts())
    targets = [str(one) for one in random.sample(hosts[10:], asked.scans)]
    targets_there = nullcontext(asked.namespace) if asked.namespace else own_targets()
    with cluster_of_the_shell_or_own(asked.driver) as environment, targets_there as namespace:
        report(measure(Cluster(environment), FirstSyns(namespace), targets, asked.tool), asked.tool, asked.driver)


if __name__ == "__main__":
    main()
