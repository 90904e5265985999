"""Nodes through the API, and the machine's own figures."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from fixtures.servers.api import NODE_TOKEN

BEAT = {"status": "healthy", "cpu": 12.5, "mem": 40, "loadavg": [0.5, 0.4, 0.3], "updated_at": "2026-01-01T00:00:00Z"}
FIELDS = {
    "node_id", "hostname", "ip", "role", "capabilities", "version", "status", "last_seen", "cpu", "mem", "loadavg",
    "updated_at", "checks", "rate_limit_pps", "sources", "stale", "scans_running",
}  # fmt: skip


def beat(api, node_id: str = "vps1", **changes):
    return api.post("/api/nodes/heartbeat", BEAT | {"node_id": node_id} | changes, token=NODE_TOKEN)


def test_registering_is_201_the_first_time_and_200_after(api):
    assert [api.register().status_code for _ in range(3)] == [201, 200, 200]
    assert api.rows()["nodes"] == 1


def test_a_beat_of_a_node_that_never_registered_tells_it_to(api):
    answer = beat(api, "stranger")
    assert answer.status_code == 404 and answer.json["code"] == "node_not_registered"


def test_a_node_is_shown_with_everything_the_contract_names(api):
    check = {"id": "offloads", "name": "Offloads", "status": "warning", "output": "on\x00\nfor eth0"}
    api.register(checks=[check], rate_limit_pps=20_000, something_new="from a newer node")
    assert beat(api).status_code == 200
    (node,) = api.get("/api/nodes").json
    assert node.keys() == FIELDS and node == api.get("/api/nodes/vps1").json
    assert (node["status"], node["cpu"], node["sources"], node["stale"]) == ("healthy", 12.5, ["heartbeat"], False)
    assert node["checks"] == [check | {"output": "on  for eth0"}]
    assert node["rate_limit_pps"] == 20_000


def test_a_change_a_node_reports_is_seen_at_once(api):
    api.register()
    assert api.get("/api/nodes").json[0]["status"] == "healthy"
    beat(api, status="draining")
    assert api.get("/api/nodes").json[0]["status"] == "draining"
    assert [n["node_id"] for n in api.get("/api/nodes?status=draining&role=worker").json] == ["vps1"]
    assert api.get("/api/nodes?status=healthy").json == []


def test_an_unchanged_fleet_is_answered_304_until_it_changes(api):
    api.register()
    first = api.get("/api/nodes")
    again = api.get("/api/nodes", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and again.data == b"" and again.headers["ETag"] == first.headers["ETag"]
    api.register("vps2")
    changed = api.get("/api/nodes", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200 and len(changed.json) == 2


@pytest.mark.parametrize(("accepts", "compressed"), [
    ("gzip", True), ("gzip, deflate, br", True), ("br;q=1.0, gzip;q=0.8", True), ("", False), ("identity", False),
    ("gzip;q=0", False), ("gzip; q=0.000, identity", False), ("br", False),
])  # fmt: skip
def test_who_accepts_gzip_gets_it_and_nobody_else(api, accepts, compressed):
    api.register()
    answer = api.get("/api/nodes", headers={"Accept-Encoding": accepts})
    assert (answer.headers.get("Content-Encoding") == "gzip") is compressed
    assert "Accept-Encoding" in answer.headers["Vary"]
    body = gzip.decompress(answer.data) if compressed else answer.data
    assert json.loads(body)[0]["node_id"] == "vps1"


def test_sync_status_is_inactive_without_nodes_and_active_with_one(api):
    assert api.get("/api/sync-status").json["status"] == "inactive"
    api.register()
    status = api.get("/api/sync-status").json
    assert status["status"] == "active" and status["reason"]


def test_an_unknown_node_is_a_404_that_says_where_to_look(api):
    answer = api.get("/api/nodes/nobody")
    assert answer.status_code == 404 and "cloudx nodes" in answer.json["error"]


THIS_MACHINE = ["", "?target=", *(f"?target={name}" for name in ("localhost", "127.0.0.1", "::1", "0.0.0.0"))]


@pytest.mark.parametrize("query", THIS_MACHINE)
def test_this_machine_shows_its_figures_newest_first_by_each_of_its_names_and_by_none(api, query):
    api.dependencies.host_history.sample()
    shown = api.get(f"/api/system-monitor{query}").json
    assert shown.keys() == {"cpu", "memory", "disk", "network"}
    for series in shown.values():
        assert all(point.keys() == {"value", "timestamp", "isSpike"} for point in series) and len(series) >= 2
        moments = [point["timestamp"] for point in series]
        assert moments == sorted(moments, reverse=True)
        assert abs(moments[0] / 1000 - time.time()) < 60


def test_another_machine_in_scope_is_measured_without_an_agent(api):
    shown = api.get("/api/system-monitor?target=127.0.0.2").json
    assert shown.keys() == {"network", "is_agentless"} and shown["is_agentless"] is True and shown["network"]
    for point in shown["network"]:
        assert point.keys() == {"value", "timestamp", "isSpike", "reachable"} and point["reachable"] is True
        assert 0 < point["value"] < 1000
    moments = [point["timestamp"] for point in shown["network"]]
    assert moments == sorted(moments, reverse=True)


def test_a_machine_that_is_silent_is_one_sample_that_says_so(api):
    shown = api.get("/api/system-monitor?target=fd5e:cbd9:7d43::1").json  # a private network that is not here
    (point,) = shown["network"]
    assert (point["value"], point["reachable"], point["isSpike"]) == (0, False, False)
    assert shown["is_agentless"] is True and abs(point["timestamp"] / 1000 - time.time()) < 60


def test_a_machine_that_is_excluded_is_not_measured(api):
    api.post("/api/exclusions", {"targets": ["127.0.0.9"]})
    assert api.get("/api/system-monitor?target=127.0.0.9").status_code == 403
