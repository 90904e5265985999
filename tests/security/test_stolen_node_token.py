"""One stolen node token: it speaks for its node, as often as that node may, and for as little as a node has to say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudx.domain.nodes import MAX_OUTPUTS
from fixtures.servers.gunicorn import NODE_TOKEN, Gunicorn
from fixtures.servers.identities import Issuer
from rig.waiting import until

UNKNOWN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"
SCAN = {"target": "127.0.0.1", "tool": "nmap", "port": 80}
MAX_NODES = 6


def registration(node_id: str, **more: Any) -> dict[str, Any]:
    """What a node registers with."""
    return {"node_id": node_id, "hostname": node_id, "ip": "10.0.0.1", "capabilities": ["nmap"]} | more


def beat(node_id: str) -> dict[str, Any]:
    """A heartbeat."""
    return {"node_id": node_id, "updated_at": datetime.now(UTC).isoformat()}


@pytest.fixture
def server(new_gunicorn) -> Gunicorn:
    """A gunicorn of one process, so that its counts are all there are."""
    running: Gunicorn = new_gunicorn(WEB_CONCURRENCY="1", CLOUDX_MAX_NODES=str(MAX_NODES))
    return running


def stolen(server: Gunicorn, node_id: str = "vps7") -> str:
    """The token of a node."""
    answer = server.post("/api/tokens", {"name": node_id, "role": "node", "node_id": node_id})
    assert answer.status_code == 201
    return str(answer.json()["token"])


def test_it_speaks_for_no_other_node_and_reads_and_does_nothing_else(server):
    thief = stolen(server)
    assert server.post("/api/nodes/register", registration("vps7"), thief).status_code == 201
    assert server.post("/api/nodes/register", registration("vps1"), thief).status_code == 403
    assert server.post("/api/nodes/heartbeat", beat("vps1"), thief).status_code == 403
    gets = ("scans", "nodes", "nodes/vps1", "scopes", "exclusions", "tokens", "audit", "system-monitor", "sync-status")
    reads = {path: server.get(f"/api/{path}", thief).status_code for path in gets}
    assert set(reads.values()) == {403}, reads
    assert server.post("/api/scans", SCAN, thief).status_code == 403
    assert server.post("/api/tokens", {"name": "x", "role": "admin"}, thief).status_code == 403
    assert server.delete("/api/nodes/vps1", thief).status_code == 403


def test_it_uses_up_the_turns_of_its_own_node_alone(server):
    thief = stolen(server)
    server.post("/api/nodes/register", registration("vps7"), thief)
    answers = [server.post("/api/nodes/heartbeat", beat("vps7"), thief) for _ in range(200)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and int(refused[0].headers["Retry-After"]) > 0 and "5 s" in refused[0].json()["error"]
    # Even what is no heartbeat at all counts, before it is read.
    assert server.post("/api/nodes/heartbeat", {"nonsense": 1}, thief).status_code == 429
    assert server.post("/api/nodes/register", registration("vps7"), thief).status_code == 429
    assert server.post("/api/nodes/heartbeat", beat("vps1"), NODE_TOKEN).status_code == 200


def test_the_token_that_speaks_for_any_node_gives_no_node_more_turns_than_another(server):
    answers = [server.post("/api/nodes/heartbeat", beat("vps1"), NODE_TOKEN).status_code for _ in range(200)]
    assert set(answers) == {200, 429}
    assert server.post("/api/nodes/register", registration("vps2"), NODE_TOKEN).status_code == 201


def test_it_makes_no_more_nodes_than_the_setting_allows(server):
    made = [server.post("/api/nodes/register", registration(f"fake{n}"), NODE_TOKEN) for n in range(20)]
    assert [answer.status_code for answer in made].count(201) == MAX_NODES - 1  # vps1 was there
    refused = made[-1]
    assert refused.status_code == 409 and "cloudx nodes remove" in refused.json()["error"]
    assert server.post("/api/nodes/register", registration("vps1"), NODE_TOKEN).status_code == 200
    until(lambda: len(node_ids(server)) == MAX_NODES, 30)


def test_what_it_says_of_itself_fattens_no_list(server):
    checks = [{"id": f"c{n}", "name": "n", "status": "warning", "output": "x" * 1900} for n in range(32)]
    thief = stolen(server)
    assert server.post("/api/nodes/register", registration("vps7", checks=checks), thief).status_code == 201
    until(lambda: "vps7" in node_ids(server), 30)
    shown = next(node for node in server.get("/api/nodes").json() if node["node_id"] == "vps7")
    assert len(shown["checks"]) == 32 and sum(len(check["output"]) for check in shown["checks"]) <= MAX_OUTPUTS
    too_many = registration("vps7", checks=[*checks, checks[0]])
    assert server.post("/api/nodes/register", too_many, thief).status_code in (400, 413)
    fat = registration("vps7", unknown="x" * (64 << 10))
    assert server.post("/api/nodes/register", fat, thief).status_code == 413


def silence(server: Gunicorn, node_id: str, hours: float) -> None:
    """As if the node had not beaten for so long."""
    then = (datetime.now(UTC) - timedelta(hours=hours)).replace(tzinfo=None)
    with closing(sqlite3.connect(server.data_dir / "cloudx.db", timeout=30)) as database:
        form = database.execute("SELECT last_seen FROM nodes LIMIT 1").fetchone()[0]
        value = int(then.replace(tzinfo=UTC).timestamp() * 1_000_000) if isinstance(form, int) else str(then)
        changed = database.execute("UPDATE nodes SET last_seen = ? WHERE node_id = ?", (value, node_id)).rowcount
        database.commit()
    assert changed == 1


def node_ids(server: Gunicorn) -> set[str]:
    """Those that the list shows."""
    return {node["node_id"] for node in server.get("/api/nodes").json()}


def test_a_node_that_is_gone_is_forgotten_by_an_admin_and_that_is_in_the_audit(server):
    thief = stolen(server)
    server.post("/api/nodes/register", registration("vps7"), thief)
    refused = server.delete("/api/nodes/vps7")
    assert refused.status_code == 409 and "revoke" in refused.json()["error"]
    until(lambda: "vps7" in node_ids(server), 30)
    silence(server, "vps7", hours=1)
    assert server.delete("/api/nodes/vps7").status_code == 200
    until(lambda: "vps7" not in node_ids(server), 30)
    (entry,) = server.get("/api/audit?action=node.delete").json()["items"]
    assert (entry["principal"], entry["subject"], entry["detail"]["hostname"]) == ("admin", "vps7", "vps7")
    unknown = server.delete("/api/nodes/vps7")
    assert unknown.status_code == 404 and "cloudx nodes" in unknown.json()["error"]
    answer = server.post("/api/nodes/heartbeat", beat("vps7"), thief)
    assert answer.status_code == 404 and answer.json()["code"] == "node_not_registered"


def test_a_hostile_id_forgets_nothing(server):
    until(lambda: node_ids(server) == {"vps1"}, 30)
    for node_id in ("..", "%2e%2e", "a%2fb", "x" * 5000, "'; DROP TABLE nodes; --", "%00", "%ff", "*", "%25", "vps_"):
        assert server.delete(f"/api/nodes/{node_id}").status_code in (400, 404, 405), node_id
    assert node_ids(server) == {"vps1"} and server.get("/api/nodes/vps1").status_code == 200


def test_nodes_that_have_been_silent_for_the_settings_time_are_forgotten_once(new_gunicorn):
    server = new_gunicorn(WEB_CONCURRENCY="3", CLOUDX_FORGET_NODE_HOURS="2")
    for node_id in ("old", "resting"):
        assert server.post("/api/nodes/register", registration(node_id), NODE_TOKEN).status_code == 201
    server.stop()
    silence(server, "old", hours=3)
    silence(server, "resting", hours=1)
    server.start()
    until(lambda: node_ids(server) == {"vps1", "resting"}, 60, lambda: node_ids(server))
    (entry,) = server.get("/api/audit?action=node.prune").json()["items"]
    assert (entry["principal"], entry["subject"]) == ("cloudx", "old")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Signs as Nomad does."""
    running = Issuer()
    yield running
    running.close()


def test_an_identity_of_another_job_namespace_or_audience_is_no_node(new_gunicorn, issuer):
    """Any job of the cluster gets signed identities; only the node agent's are a node's."""
    server = new_gunicorn(CLOUDX_NOMAD_JWKS_URL=issuer.url)
    ours = issuer.identity("cloudx", "node", nomad_node_id="vps7")
    assert server.post("/api/nodes/register", registration("vps7"), ours).status_code == 201
    assert server.post("/api/nodes/register", registration("vps1"), ours).status_code == 403
    foreign = {
        "a web shop's": issuer.identity("cloudx", "shop", nomad_node_id="vps7"),
        "a scan worker's": issuer.identity("cloudx", "scan", nomad_node_id="vps7"),
        "of a job of that name elsewhere": issuer.identity("cloudx", "node", namespace="guests", nomad_node_id="vps7"),
        "made for Vault": issuer.identity("vault.io", "node", nomad_node_id="vps7"),
        "of no node": issuer.identity("cloudx", "node"),
        "of another cluster": Issuer().identity("cloudx", "node", nomad_node_id="vps7"),
    }
    entered = {
        whose: status
        for whose, identity in foreign.items()
        if (status := server.post("/api/nodes/heartbeat", beat("vps7"), identity).status_code) != 401
    }
    assert entered == {}
