"""A node whose canaries fall silent gives its chunk back, says why, and goes on when they answer again. Needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fixtures.servers.network import Network
from fixtures.servers.service import Service
from rig.waiting import until

CANARY, PORT = "10.77.3.3", 22  # a listener of the target network


@pytest.fixture(scope="module")
def service(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole product on the scanner's machine."""
    with network.inside():
        running = Service(tmp_path_factory.mktemp("canaries") / "install")
        running.start()
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def silence(network: Network) -> Iterator[None]:
    """The canary's packets are dropped before they reach it."""
    there = ["ip", "netns", "exec", network.target_namespace, "iptables"]
    rule = ["INPUT", "-p", "tcp", "-d", CANARY, "--dport", str(PORT), "-j", "DROP"]
    subprocess.run([*there, "-A", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run([*there, "-D", *rule], check=True)


def canary_check(service: Service) -> dict[str, Any]:
    (node,) = service.call("GET", "/api/nodes").json()
    return next((check for check in node["checks"] if check["id"] == "canaries"), {})


def attempts(service: Service, scan_id: str) -> list[str]:
    chunks = service.call("GET", f"/api/scans/{scan_id}/coverage").json()["chunks"]
    return [attempt["outcome"] for chunk in chunks for attempt in chunk["attempts"]]


def test_a_node_that_no_canary_answers_loses_its_chunk_and_scans_on_when_one_does(
    service: Service, network: Network
) -> None:
    added = service.cloudx("canaries", "add", CANARY, "--port", str(PORT), "--note", "the lab's gateway")
    assert added.returncode == 0, added.stderr
    (named,) = service.call("GET", "/api/canaries").json()
    assert (named["target"], named["port"], named["protocol"]) == (CANARY, PORT, "tcp")
    until(
        lambda: "1 of 1 canaries answer" in canary_check(service).get("output", ""), 60, lambda: canary_check(service)
    )
    scan_id = service.scan(target="10.77.64.0/20", tool="masscan", port="80", rate=400)
    until(lambda: service.show(scan_id)["progress"] > 5, 60, lambda: service.show(scan_id))
    with silence(network):
        until(lambda: "failed" in attempts(service, scan_id), 60, lambda: service.show(scan_id))
        until(lambda: canary_check(service)["status"] == "critical", 60, lambda: canary_check(service))
        assert f"no canary answers this node ({CANARY}:{PORT})" in canary_check(service)["output"]
    shown = service.wait_for(scan_id, 150)
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"] == 4096
    removed = service.call("DELETE", f"/api/canaries/{named['id']}")
    assert removed.status_code == 200
    until(lambda: "no canary is named" in canary_check(service)["output"], 60, lambda: canary_check(service))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "10.0.0.0/24", "port": 80}, "target"),
        ({"target": "-iL", "port": 80}, "target"),
        ({"target": "10.0.0.1", "port": 0}, "port"),
        ({"target": "10.0.0.1", "port": 53, "protocol": "udp"}, "protocol"),
    ],
)
def test_what_is_no_canary_is_refused_with_the_field_named(service: Service, body: dict[str, Any], field: str) -> None:
    answer = service.call("POST", "/api/canaries", json=body)
    assert answer.status_code == 400
    assert field in str(answer.json())


def test_forgetting_an_unknown_canary_says_how_to_list_them(service: Service) -> None:
    answer = service.call("DELETE", "/api/canaries/019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b")
    assert answer.status_code == 404
    assert "cloudx canaries list" in answer.json()["error"]
