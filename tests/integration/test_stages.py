"""masscan finds open ports, nmap asks them what they are: one scan, by real scanners; and kills in each stage.

The target network has two listeners on every address; masscan is made slow enough to be interrupted. Needs root.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from fixtures.servers.network import Network
from fixtures.servers.service import Service, service_inside
from rig.waiting import until

TARGET = "10.77.3.0/27"
HOSTS = 32
PORTS = [7, 22, 80, 443, 8080, 50123]
THEN = {"tool": "nmap", "scan_type": "default"}


def two_stages(service: Service, **more: Any) -> str:
    """A scan of TARGET; at 128 packets a second its first stage takes two seconds."""
    body = {"target": TARGET, "tool": "masscan", "ports": ",".join(map(str, PORTS)), "rate": 5000, "then": THEN}
    return service.scan(**body | more)


def rows_of(service: Service, scan_id: str) -> list[dict[str, Any]]:
    answer = service.call("GET", f"/api/scans/{scan_id}/results?format=ndjson")
    return [json.loads(row) for row in answer.text.splitlines()]


def assert_each_open_port_was_served_once(service: Service, scan_id: str, network: Network) -> dict[str, Any]:
    """Each is nmap's own row, and the second stage's chunks that are done cover each open port exactly once."""
    shown = service.wait_for(scan_id, 150)
    assert shown["status"] == "completed", shown
    expected = network.expected(TARGET, PORTS)
    first, second = shown["coverage"]["stages"]
    assert first["planned"] == first["completed"] == HOSTS * len(PORTS), shown["coverage"]
    assert second["planned"] == second["completed"] == len(expected), shown["coverage"]
    assert shown["coverage"]["planned"] == first["planned"] + second["planned"]
    rows = rows_of(service, scan_id)
    assert Counter((row["ip"], row["port"]) for row in rows) == Counter(expected)
    assert {row["scan_id"] for row in rows} == {scan_id}
    assert all(row["service"] for row in rows if row["port"] in (80, 443)), "masscan names no service"
    proof = service.call("GET", f"/api/scans/{scan_id}/coverage").json()
    served: Counter[tuple[str, int]] = Counter()
    for chunk in proof["chunks"]:
        if chunk["stage"] == 2 and chunk["state"] == "done":
            served += Counter(_covered(chunk))
    assert served == Counter(expected)
    return shown


def _covered(chunk: dict[str, Any]) -> list[tuple[str, int]]:
    ends = [text.split("-") for text in chunk["addresses"]]
    hosts = [f"10.77.3.{n}" for first, *last in ends for n in range(_last(first), _last((last or [first])[0]) + 1)]
    return [(host, int(port)) for host in hosts for port in chunk["ports"].split(",")]


def _last(address: str) -> int:
    return int(address.rsplit(".", 1)[1])


def test_open_ports_go_from_masscan_to_nmap_in_one_scan(install: Service, network: Network) -> None:
    command = ["scan", TARGET, "--tool", "masscan", "--ports", ",".join(map(str, PORTS)), "--rate", "5000"]
    told = install.cloudx(*command, "--then", "nmap", "--json")
    assert told.returncode == 0, told.stderr
    scan_id = json.loads(told.stdout)["job_id"]
    shown = assert_each_open_port_was_served_once(install, scan_id, network)
    assert (shown["tool"], shown["then"]) == ("masscan", THEN)
    assert [stage["unit"] for stage in shown["coverage"]["stages"]] == ["probes", "ports"]
    assert shown["progress"] == 100
    listed = install.call("GET", "/api/scans").json()
    assert [one["job_id"] for one in listed].count(scan_id) == 1
    assert all(one["tool"] != "nmap" or one["then"] is None for one in listed)
    port = {entry["portid"]: entry for host in shown["results"]["hosts"] for entry in host["ports"]}[80]
    assert port == {"portid": 80, "state": "open", "service": {"name": "http"}}


def test_killed_in_each_stage_it_serves_each_open_port_once_all_the_same(network: Network, tmp_path: Path) -> None:
    with service_inside(network, tmp_path / "install") as service:
        scan_id = two_stages(service, rate=128)
        until(lambda: service.named("masscan"), 30)
        kill_worker(service)
        until(lambda: service.named("nmap"), 60, lambda: service.show(scan_id))
        first, second = service.show(scan_id)["coverage"]["stages"]
        assert (first["completed"], second["remaining"]) == (first["planned"], second["planned"])
        service.kill_everything()
        service.start()
        shown = assert_each_open_port_was_served_once(service, scan_id, network)
    assert [stage["failed"] for stage in shown["coverage"]["stages"]] == [0, 0]


def kill_worker(service: Service) -> None:
    scanners = service.named("masscan")
    service.named("worker")[0].kill()
    psutil.wait_procs(scanners, 5)
