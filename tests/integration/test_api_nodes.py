"""Nodes through the API, and the machine's own figures."""

from __future__ import annotations

import gzip
import json
import socket
import time
from contextlib import closing

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


def test_this_machine_shows_its_figures_oldest_first(api):
    for _ in range(2):
        shown = api.get("/api/system-monitor?target=localhost").json
        time.sleep(0.01)
    assert shown.keys() == {"cpu", "memory", "disk", "network"}
    for series in shown.values():
        assert all(point.keys() == {"value", "timestamp", "isSpike"} for point in series) and series
        assert abs(series[-1]["timestamp"] / 1000 - time.time()) < 60
    assert api.get("/api/system-monitor").json.keys() == shown.keys()


def test_another_machine_in_scope_is_measured_without_an_agent(api):
    with closing(socket.create_server(("127.0.0.1", 0))):
        shown = api.get("/api/system-monitor?target=127.0.0.1").json
    assert shown["is_agentless"] is True and shown["network"]
    assert all(0 <= point["value"] < 1000 for point in shown["network"])


def test_a_machine_that_is_excluded_is_not_measured(api):
    api.post("/api/exclusions", {"targets": ["127.0.0.9"]})
    assert api.get("/api/system-monitor?target=127.0.0.9").status_code == 403
