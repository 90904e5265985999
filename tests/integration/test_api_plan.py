"""What a scan would cost is what its submit then does, and nothing of it is written."""

from __future__ import annotations

import pytest

BODIES = [
    {"target": "127.0.0.0/24", "tool": "nmap", "ports": "1-100"},
    {"target": "127.0.0.1", "tool": "nmap", "scan_type": "udp", "exclude": "127.0.0.2"},
    {"target": "192.0.2.0/24", "tool": "masscan", "ports": "1-1000", "rate": 5000, "retries": 1},
    {"target": "192.0.2.0/24", "tool": "zmap", "port": 80, "exclude": ["192.0.2.0/25"]},
    {"target": "192.0.2.7", "tool": "masscan", "scan_type": "ping_scan", "exclude": "192.0.2.7"},
]
TWO_STAGES = {"target": "192.0.2.0/24", "tool": "masscan", "ports": "80,443", "rate": 1000, "then": {"tool": "nmap"}}
REFUSED = [
    (TWO_STAGES | {"rate": 1}, 400),
    (TWO_STAGES | {"then": {"tool": "zmap"}}, 400),
    ({"target": "192.0.2.0/33", "tool": "nmap"}, 400),
    ({"target": "8.8.8.8", "tool": "nmap"}, 403),
    ({"target": "127.0.0.1", "tool": "masscan", "ports": "80"}, 400),
    ({"target": "192.0.2.1", "tool": "masscan"}, 400),
    ({"target": "192.0.2.1", "tool": "nmap", "ports": "0"}, 400),
    ({"target": "192.0.2.1", "tool": "nmap", "rate": -1}, 400),
    ({"target": "192.0.2.1", "tool": "nmap", "priority": 5000}, 400),
    ({"target": "192.0.2.1", "tool": "nmap", "no_such_field": 1}, 400),
]


@pytest.fixture
def ready(api):
    api.register(rate_limit_pps=1000)
    api.post("/api/scopes", {"targets": ["192.0.2.0/24"], "owner": "me", "note": ""})
    return api


@pytest.mark.parametrize("body", BODIES)
def test_a_plan_says_what_the_submit_then_plans(ready, body):
    planned = ready.post("/api/scans/plan", body)
    assert planned.status_code == 200, planned.text
    assert ready.get("/api/scans").json == [], "nothing is written"
    plan = planned.json
    scan = ready.get(f"/api/scans/{ready.post('/api/scans', body).json['job_id']}").json
    coverage, chunks = scan["coverage"], scan["chunks"]
    assert (plan["planned"], plan["excluded"], plan["unit"]) == (
        coverage["planned"], coverage["excluded"], coverage["unit"],
    )  # fmt: skip
    assert plan["chunks"] == chunks["pending"] and plan["target_count"] == scan["target_count"]
    assert plan["ports"] == scan["ports"] and plan["nodes"] == ["vps1"]


@pytest.mark.parametrize(("body", "status"), REFUSED)
def test_a_plan_is_refused_in_the_words_of_the_submit(ready, body, status):
    planned, submitted = ready.post("/api/scans/plan", body), ready.post("/api/scans", body)
    assert planned.status_code == submitted.status_code == status
    assert planned.json == submitted.json


def test_a_plan_without_a_node_that_can_run_it_says_which_lacks_what(api):
    answer = api.post("/api/scans/plan", {"target": "127.0.0.1", "tool": "nmap"})
    assert answer.status_code == 409 and answer.json["code"] == "no_capable_node"


def test_a_plan_takes_as_long_as_the_probes_at_the_rate_that_the_nodes_can_send(ready):
    body = {"target": "192.0.2.0/24", "tool": "masscan", "ports": "1-1000", "rate": 500}
    slow = ready.post("/api/scans/plan", body).json
    assert slow["probes"] == 256_000 and slow["rate"] == 500
    assert slow["seconds"] == 256_000 // 500 + 3, "and the wait for late replies"
    fast = ready.post("/api/scans/plan", body | {"rate": 100_000}).json
    assert fast["rate"] == 938 and "at most 938" in fast["warnings"][0], "a node of 1,000 packets/s"
    assert fast["seconds"] == 256_000 // 938 + 1 + 3


def test_excluded_ranges_are_named(ready):
    ready.post("/api/exclusions", {"targets": ["192.0.2.128/25"], "note": ""})
    plan = ready.post("/api/scans/plan", {"target": "192.0.2.0/24", "tool": "zmap", "port": 80}).json
    assert plan["excluded"] == 128 and plan["excluded_ranges"] == ["192.0.2.128-192.0.2.255"]
    everything = ready.post("/api/scans/plan", {"target": "192.0.2.200", "tool": "zmap", "port": 80}).json
    assert (everything["chunks"], everything["seconds"]) == (0, 0)


def test_a_list_without_results_costs_none_and_says_where_they_are(ready):
    ready.post("/api/scans", BODIES[0])
    (scan,) = ready.get("/api/scans?results=false").json
    assert scan["results"] is None and scan["results_truncated"] and scan["results_url"].endswith("/results")


def test_of_two_stages_the_first_is_planned_and_the_plan_says_so(ready):
    alone = ready.post("/api/scans/plan", {name: value for name, value in TWO_STAGES.items() if name != "then"}).json
    both = ready.post("/api/scans/plan", TWO_STAGES).json
    assert both["planned"] == alone["planned"] == 512
    assert "first stage's figures" in both["warnings"][-1] and "first stage" not in str(alone["warnings"])
    assert both["rate"] < alone["rate"], "the second has a part of it"
