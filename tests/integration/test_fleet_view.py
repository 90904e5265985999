"""/api/nodes of a running API that follows a real Consul and a real Nomad."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from fixtures.servers.cluster_servers import MANAGEMENT_TOKEN
from fixtures.servers.gunicorn import NODE_TOKEN
from rig.waiting import until


@pytest.fixture
def consul_alone(new_consul):
    return new_consul()


@pytest.fixture
def api(new_gunicorn, consul_alone, nomad):
    cluster = {"CONSUL_HTTP_ADDR": consul_alone.url, "NOMAD_ADDR": nomad.url}
    return new_gunicorn(CONSUL_HTTP_TOKEN=MANAGEMENT_TOKEN, WEB_CONCURRENCY="1", **cluster)


def node_of(api, node_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = api.get(f"/api/nodes/{node_id}").json()
    return shown


def sources_of(api) -> dict[str, str]:
    return {name: one["status"] for name, one in api.get("/api/sync-status").json()["sources"].items()}


def test_a_machine_is_one_node_of_all_three_sources(api, consul_alone, nomad):
    node_id = nomad.node_id
    body = {"node_id": node_id, "hostname": "vps", "ip": "10.9.0.1", "capabilities": ["nmap"], "version": "0.1"}
    assert api.post("/api/nodes/register", body, token=NODE_TOKEN).status_code == 201
    consul_alone.register_node(node_id, "critical", "no raw socket: give it CAP_NET_RAW", version="rollout-7")
    until(lambda: len(node_of(api, node_id).get("sources", ())) == 3, 5, lambda: node_of(api, node_id))
    node = node_of(api, node_id)
    assert node["sources"] == ["consul", "nomad", "heartbeat"]
    assert (node["status"], node["version"], node["capabilities"]) == ("critical", "rollout-7", ["nmap"])
    assert [c["output"] for c in node["checks"]] == ["no raw socket: give it CAP_NET_RAW", "ready for work"]
    consul_alone.register_node(node_id, "passing", "open", version="rollout-7")
    until(lambda: node_of(api, node_id)["status"] == "healthy", 5)


def test_a_machine_that_nomad_takes_out_of_scheduling_is_shown_draining(api, nomad):
    node_id = nomad.node_id
    nomad.call("PUT", f"/v1/node/{node_id}/eligibility", {"Eligibility": "ineligible"})
    try:
        until(lambda: node_of(api, node_id).get("status") == "draining", 5, lambda: node_of(api, node_id))
    finally:
        nomad.call("PUT", f"/v1/node/{node_id}/eligibility", {"Eligibility": "eligible"})
    until(lambda: node_of(api, node_id)["status"] != "draining", 5)


def test_a_consul_that_is_killed_leaves_its_last_view_marked_stale_until_it_is_back(api, consul_alone):
    consul_alone.register_node("vps1", "passing", "open", version="7")
    until(lambda: "consul" in node_of(api, "vps1").get("sources", ()), 5)
    until(lambda: sources_of(api)["consul"] == "active", 5)
    consul_alone.kill()
    until(lambda: node_of(api, "vps1")["stale"], 2)
    node, sync = node_of(api, "vps1"), api.get("/api/sync-status").json()
    assert node["version"] == "7" and "consul" in node["sources"]
    assert sync["status"] == "error" and sync["reason"].startswith("Consul:") and "is shown" in sync["reason"]
    assert sources_of(api)["heartbeat"] == "active"
    assert api.get("/api/ready").status_code == 200
    consul_alone.start()
    consul_alone.register_node("vps1", "passing", "open", version="8")
    until(lambda: node_of(api, "vps1")["version"] == "8", 10, lambda: api.get("/api/sync-status").json())
    assert not node_of(api, "vps1")["stale"] and sources_of(api)["consul"] == "active"


def test_no_request_waits_for_a_consul_that_hangs(api, consul_alone):
    consul_alone.register_node("vps1")
    until(lambda: "consul" in node_of(api, "vps1").get("sources", ()), 5)
    consul_alone.signal(signal.SIGSTOP)
    started = time.monotonic()
    for path in ("/api/nodes", "/api/nodes/vps1", "/api/sync-status", "/api/ready") * 10:
        assert api.get(path).status_code == 200
    assert time.monotonic() - started < 30, "each would wait for a second at least"


def test_without_consul_and_nomad_heartbeats_are_the_only_source(shared_gunicorn):
    assert list(sources_of(shared_gunicorn)) == ["heartbeat"]
    until(lambda: node_of(shared_gunicorn, "vps1").get("sources") == ["heartbeat"], 5)


def refusal(api) -> str | None:
    """Why a scan finds no node; None where it is taken."""
    answer = api.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap", "port": "80"})
    if answer.status_code == 202:
        return None
    assert (answer.status_code, answer.json()["code"]) == (409, "no_capable_node"), answer.text
    reasons: dict[str, str] = answer.json()["details"]["nodes"]
    assert "it is offline" in reasons.pop("vps1")
    return " ".join(reasons.values())


@pytest.fixture
def api_with_one_node(api, nomad):
    """Its node has a Nomad client, beats, and can run nmap."""
    body = {"node_id": nomad.node_id, "hostname": "vps", "ip": "10.9.0.1", "capabilities": ["nmap"], "version": "0.1"}
    assert api.post("/api/nodes/register", body, token=NODE_TOKEN).status_code == 201
    goodbye = {
        "node_id": "vps1",
        "status": "offline",
        "cpu": 0,
        "mem": 0,
        "loadavg": [0, 0, 0],
        "updated_at": "2026-01-01T00:00:00Z",
    }
    assert api.post("/api/nodes/heartbeat", goodbye, token=NODE_TOKEN).status_code == 200
    until(lambda: "nomad" in node_of(api, nomad.node_id)["sources"], 5)
    assert refusal(api) is None
    return api


def test_a_scan_is_refused_while_nomad_gives_the_only_node_nothing_new(api_with_one_node, nomad):
    nomad.call("PUT", f"/v1/node/{nomad.node_id}/eligibility", {"Eligibility": "ineligible"})
    try:
        until(lambda: refusal(api_with_one_node), 5)
        said = refusal(api_with_one_node) or ""
        assert "Nomad client: it gets no new work. `cloudx cluster drain NODE --off`" in said
    finally:
        nomad.call("PUT", f"/v1/node/{nomad.node_id}/eligibility", {"Eligibility": "eligible"})
    until(lambda: refusal(api_with_one_node) is None, 5)


def test_a_scan_is_refused_while_a_check_in_consul_says_that_the_only_node_is_unfit(
    api_with_one_node, consul_alone, nomad
):
    consul_alone.register_node(nomad.node_id, "critical", "no raw socket: give it CAP_NET_RAW")
    until(lambda: refusal(api_with_one_node), 5)
    assert "raw_socket: no raw socket: give it CAP_NET_RAW" in (refusal(api_with_one_node) or "")
    consul_alone.register_node(nomad.node_id, "passing", "open")
    until(lambda: refusal(api_with_one_node) is None, 5)
