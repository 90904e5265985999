"""A node whose canaries fall silent gives its chunk back, says why, and goes on when they answer again. Needs root."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.servers.network import Network
from fixtures.servers.service import Service
from rig.waiting import until

CANARY, PORT = "10.77.3.3", 22  # a listener of the target network


def canary_check(install: Service) -> dict[str, Any]:
    (node,) = install.call("GET", "/api/nodes").json()
    return next((check for check in node["checks"] if check["id"] == "canaries"), {})


def says_that_none_answers(check: dict[str, Any]) -> bool:
    """Judged on one answer: the next may come from another process of the API, whose view is a moment older."""
    return check["status"] == "critical" and f"no canary answers this node ({CANARY}:{PORT})" in check["output"]


def attempts(install: Service, scan_id: str) -> list[str]:
    chunks = install.call("GET", f"/api/scans/{scan_id}/coverage").json()["chunks"]
    return [attempt["outcome"] for chunk in chunks for attempt in chunk["attempts"]]


def test_a_node_that_no_canary_answers_loses_its_chunk_and_scans_on_when_one_does(
    install: Service, network: Network
) -> None:
    added = install.cloudx("canaries", "add", CANARY, "--port", str(PORT), "--note", "the lab's gateway")
    assert added.returncode == 0, added.stderr
    (named,) = install.call("GET", "/api/canaries").json()
    assert (named["target"], named["port"], named["protocol"]) == (CANARY, PORT, "tcp")
    until(
        lambda: "1 of 1 canaries answer" in canary_check(install).get("output", ""), 60, lambda: canary_check(install)
    )
    scan_id = install.scan(target="10.77.64.0/20", tool="masscan", port="80", rate=400)
    until(lambda: install.show(scan_id)["progress"] > 5, 60, lambda: install.show(scan_id))
    with network.target_rule("INPUT", "-p", "tcp", "-d", CANARY, "--dport", str(PORT), "-j", "DROP"):
        until(lambda: "failed" in attempts(install, scan_id), 60, lambda: install.show(scan_id))
        until(lambda: says_that_none_answers(canary_check(install)), 60, lambda: canary_check(install))
    shown = install.wait_for(scan_id, 150)
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"] == 4096
    removed = install.call("DELETE", f"/api/canaries/{named['id']}")
    assert removed.status_code == 200
    until(lambda: "no canary is named" in canary_check(install)["output"], 60, lambda: canary_check(install))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "10.0.0.0/24", "port": 80}, "target"),
        ({"target": "-iL", "port": 80}, "target"),
        ({"target": "10.0.0.1", "port": 0}, "port"),
        ({"target": "10.0.0.1", "port": 53, "protocol": "udp"}, "protocol"),
    ],
)
def test_what_is_no_canary_is_refused_with_the_field_named(install: Service, body: dict[str, Any], field: str) -> None:
    answer = install.call("POST", "/api/canaries", json=body)
    assert answer.status_code == 400
    assert answer.json()["details"]["field"] == field


def test_forgetting_an_unknown_canary_says_how_to_list_them(install: Service) -> None:
    answer = install.call("DELETE", "/api/canaries/019ab3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b")
    assert answer.status_code == 404
    assert "cloudx canaries list" in answer.json()["error"]
