"""Who may do what: the contract's table, call by call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fixtures.servers.api import ADMIN_TOKEN, NODE_TOKEN

UNKNOWN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"
ANYONE = ["/api/health", "/api/ping", "/api/ready", "/metrics", "/api/openapi.json", "/api/docs", "/", "/api/session"]
BEAT = {
    "node_id": "vps1",
    "status": "healthy",
    "cpu": 1,
    "mem": 2,
    "loadavg": [0.1],
    "updated_at": "2026-01-01T00:00:00Z",
}
SCAN = {"target": "127.0.0.1", "tool": "nmap"}
# (method, path, body, the least role)
CALLS = [
    ("GET", "/api/scans", None, "viewer"),
    ("GET", f"/api/scans/{UNKNOWN}", None, "viewer"),
    ("GET", f"/api/scans/{UNKNOWN}/results", None, "viewer"),
    ("GET", f"/api/scans/{UNKNOWN}/coverage", None, "viewer"),
    ("GET", f"/api/scans/{UNKNOWN}/diff/{UNKNOWN}", None, "viewer"),
    ("GET", "/api/nodes", None, "viewer"),
    ("GET", "/api/nodes/vps1", None, "viewer"),
    ("GET", "/api/scopes", None, "viewer"),
    ("GET", "/api/exclusions", None, "viewer"),
    ("GET", "/api/sync-status", None, "viewer"),
    ("GET", "/api/system-monitor", None, "viewer"),
    ("GET", "/api/system-monitor?target=127.0.0.2", None, "operator"),
    ("DELETE", "/api/nodes/vps1", None, "admin"),
    ("POST", "/api/scans", SCAN, "operator"),
    ("POST", "/api/scans/plan", SCAN, "operator"),
    ("POST", f"/api/scans/{UNKNOWN}/stop", None, "operator"),
    ("POST", f"/api/scans/{UNKNOWN}/pause", None, "operator"),
    ("POST", f"/api/scans/{UNKNOWN}/resume", None, "operator"),
    ("DELETE", f"/api/scans/{UNKNOWN}", None, "operator"),
    ("POST", "/api/scopes", {"targets": ["192.0.2.0/24"], "owner": "me", "note": ""}, "admin"),
    ("DELETE", f"/api/scopes/{UNKNOWN}", None, "admin"),
    ("POST", "/api/exclusions", {"targets": ["192.0.2.1"], "note": ""}, "admin"),
    ("DELETE", f"/api/exclusions/{UNKNOWN}", None, "admin"),
    ("GET", "/api/lists", None, "viewer"),
    ("POST", "/api/lists", {"name": "x", "targets": ["192.0.2.1"]}, "operator"),
    ("DELETE", f"/api/lists/{UNKNOWN}", None, "operator"),
    ("GET", "/api/schedules", None, "viewer"),
    ("POST", "/api/schedules", {"name": "x", "cron": "0 3 * * *", "scan": SCAN}, "operator"),
    ("PATCH", f"/api/schedules/{UNKNOWN}", {}, "operator"),
    ("POST", f"/api/schedules/{UNKNOWN}/run", None, "operator"),
    ("DELETE", f"/api/schedules/{UNKNOWN}", None, "operator"),
    ("GET", "/api/probes?ip=127.0.0.1", None, "operator"),
    ("GET", "/api/tokens", None, "admin"),
    ("GET", "/api/audit", None, "admin"),
    ("POST", "/api/tokens", {"name": "x", "role": "viewer"}, "admin"),
    ("DELETE", f"/api/tokens/{UNKNOWN}", None, "admin"),
]
RANK = {"node": 0, "viewer": 1, "operator": 2, "admin": 3}


@pytest.mark.parametrize("path", ANYONE)
def test_anyone_may_call(api, path):
    assert api.get(path, token=None).status_code == 200


@pytest.mark.parametrize(("method", "path", "body", "least"), CALLS)
def test_without_a_credential_the_answer_is_401_and_says_how_to_get_one(api, method, path, body, least):
    answer = api.call(method, path, token=None, json=body)
    assert answer.status_code == 401
    assert answer.json["code"] == "unauthenticated" and "cloudx tokens add" in answer.json["error"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_each_role_may_do_exactly_what_the_table_says(api):
    api.register()
    tokens = {role: api.token(role) for role in ("viewer", "operator", "admin")}
    tokens["node"] = NODE_TOKEN
    wrong = []
    for method, path, body, least in CALLS:
        for role, token in tokens.items():
            status = api.call(method, path, token=token, json=body).status_code
            if (status == 403) != (RANK[role] < RANK[least]) or status == 401:
                wrong.append((role, method, path, status))
    assert wrong == []


@pytest.mark.parametrize(("path", "body"), [("/api/nodes/register", {}), ("/api/nodes/heartbeat", BEAT)])
def test_people_cannot_speak_for_nodes(api, path, body):
    for token in (ADMIN_TOKEN, api.token("operator")):
        assert api.post(path, body, token=token).status_code == 403


def test_a_node_token_speaks_for_its_own_node_alone(api):
    token = api.token("node", node_id="vps1")
    body = {"node_id": "vps1", "hostname": "a", "ip": "10.0.0.1"}
    assert api.post("/api/nodes/register", body, token=token).status_code == 201
    assert api.post("/api/nodes/heartbeat", BEAT, token=token).status_code == 200
    other = api.post("/api/nodes/register", body | {"node_id": "vps2"}, token=token)
    assert other.status_code == 403 and other.json["code"] == "forbidden"
    assert api.post("/api/nodes/heartbeat", BEAT | {"node_id": "vps2"}, token=token).status_code == 403
    assert api.rows()["nodes"] == 1


def test_a_revoked_token_is_worthless_at_once(api):
    made = api.post("/api/tokens", {"name": "short", "role": "viewer"}).json
    assert api.get("/api/scans", token=made["token"]).status_code == 200
    assert api.call("DELETE", f"/api/tokens/{made['id']}").status_code == 200
    assert api.get("/api/scans", token=made["token"]).status_code == 401


def test_a_good_token_is_looked_up_once_for_many_requests(api, monkeypatch):
    token = api.token("viewer")
    api.get("/api/nodes", token=token)
    looked_up = []
    monkeypatch.setattr("cloudx.services.access.authenticate.authenticate_token", lambda *a: looked_up.append(a))
    for _ in range(20):
        assert api.get("/api/nodes", token=token).status_code == 200
    assert looked_up == []


def test_a_token_is_shown_once_and_kept_as_a_hash(api):
    made = api.post("/api/tokens", {"name": "shown once", "role": "viewer"})
    assert made.status_code == 201 and made.json["token"].startswith("cx_")
    listed = api.get("/api/tokens").json
    assert [token["name"] for token in listed] == ["shown once"]
    assert "token" not in listed[0] and "sha256" not in listed[0]
    kept = b"".join(file.read_bytes() for file in api.folder.iterdir())  # the write-ahead log too
    assert b"shown once" in kept and made.json["token"].encode() not in kept


def test_a_token_may_expire_but_not_in_the_past(api):
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    refused = api.post("/api/tokens", {"name": "late", "role": "viewer", "expires_at": past})
    assert refused.status_code == 400 and refused.json["details"]["field"] == "expires_at"
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert api.post("/api/tokens", {"name": "good", "role": "viewer", "expires_at": future}).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "n", "role": "node"}, "node_id"),
        ({"name": "n", "role": "viewer", "node_id": "vps1"}, "node_id"),
        ({"name": "n", "role": "root"}, "role"),
        ({"role": "viewer"}, "name"),
        ({"name": "", "role": "viewer"}, "name"),
    ],
)
def test_a_token_request_that_makes_no_sense_names_its_field(api, body, field):
    refused = api.post("/api/tokens", body)
    assert refused.status_code == 400 and refused.json["details"]["field"] == field
    assert api.rows()["tokens"] == 0


def test_open_access_lets_anyone_scan_and_any_node_beat(new_api):
    api = new_api(CLOUDX_AUTH="open")
    assert (
        api.post(
            "/api/nodes/register",
            {"node_id": "a", "hostname": "a", "ip": "10.0.0.1", "capabilities": ["nmap"]},
            token=None,
        ).status_code
        == 201
    )
    assert api.post("/api/scans", SCAN, token=None).status_code == 202


def test_a_setting_closes_the_metrics(new_api):
    api = new_api(CLOUDX_METRICS="token")
    assert api.get("/metrics", token=None).status_code == 401
    assert api.get("/metrics", token=api.token("viewer")).status_code == 200


def test_guessing_tokens_is_slowed_down(new_api):
    from cloudx.api.rate_limits import RateLimits

    api = new_api(RateLimits(failed_logins="5 per minute"))
    answers = [api.get("/api/scans", token=f"guess-{n}") for n in range(7)]
    assert [a.status_code for a in answers] == [401] * 5 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert api.get("/api/scans").status_code == 200, "who has a good token is not locked out"
