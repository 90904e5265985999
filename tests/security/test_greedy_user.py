"""One greedy user with a good token: what one request may cost everybody else. The real gunicorn, one process of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cloudx.domain.targets import HEAD_BYTES
from fixtures.servers.gunicorn import ADMIN_TOKEN, NODE_TOKEN, Gunicorn
from fixtures.slow_client import SlowClient
from rig.waiting import until

JSON = {"Content-Type": "application/json"}
UNKNOWN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"
KB = 1 << 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One process: what holds its event loop holds everybody."""
    running = Gunicorn(tmp_path_factory.mktemp("greedy"), WEB_CONCURRENCY="1")
    running.start()
    yield running
    running.stop()


def token(server: Gunicorn, role: str, name: str) -> str:
    """A new token of this role and name."""
    answer = server.post("/api/tokens", {"name": name, "role": role})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def names(*repeated: str, different: int = 0) -> bytes:
    """A JSON object with `different` different names and then these, twice or more."""
    pairs = [f'"name{number}":1' for number in range(different)] + [f'"{name}":1' for name in repeated]
    return ("{" + ",".join(pairs) + "}").encode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (names(*["target"] * 100_000), "target"),
        (names("last", "last", different=100_000), "last"),
        (names(*(f"n{number}" for number in range(50_000)) , *(f"n{number}" for number in range(50_000))), "n0"),
    ],
    ids=["one name 100,000 times", "100,000 names and the last one twice", "50,000 names, each twice"],
)  # fmt: skip
def test_a_body_of_equal_names_is_refused_by_name_before_anybody_waits_for_it(server, body, field):
    """The time grew with the square of the names: eleven minutes for the second, and gunicorn kills after one."""
    pid = server.master.children()[0].pid
    for _ in range(3):
        answer = server.post("/api/scans", None, data=body, headers=JSON)
        assert answer.status_code == 400 and answer.json()["details"]["field"] == field
    assert server.master.children()[0].pid == pid and server.get("/api/ready").status_code == 200


def test_an_object_of_a_hundred_thousand_unknown_fields_gets_one_error(server):
    answer = server.post("/api/scans", None, data=names(different=100_000), headers=JSON)
    assert answer.status_code == 400 and "more than 100 fields" in answer.json()["error"]


BOUNDS = [
    ("POST", "/api/nodes/register", NODE_TOKEN, 64 * KB),
    ("POST", "/api/nodes/heartbeat", NODE_TOKEN, 64 * KB),
    ("POST", "/api/scans", ADMIN_TOKEN, 8192 * KB),
    ("POST", "/api/scopes", ADMIN_TOKEN, 2048 * KB),
    ("POST", "/api/exclusions", ADMIN_TOKEN, 2048 * KB),
    ("POST", "/api/tokens", ADMIN_TOKEN, 16 * KB),
    ("POST", "/api/canaries", ADMIN_TOKEN, 16 * KB),
    ("POST", f"/api/scans/{UNKNOWN}/stop", ADMIN_TOKEN, 16 * KB),
    ("DELETE", f"/api/scans/{UNKNOWN}", ADMIN_TOKEN, 16 * KB),
    ("GET", "/api/scans", ADMIN_TOKEN, 16 * KB),
    ("POST", "/api/nowhere", ADMIN_TOKEN, 16 * KB),
]


def status_of_announcing(server: Gunicorn, method: str, path: str, bearer: str, size: int) -> int | None:
    """The answer to a request's headers alone: none of its body is sent."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}\r\n"
    with SlowClient(server.port) as client:
        client.say(f"{head}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode())
        until(lambda: client.status() or client.is_cut(), 60)
        return client.status()


@pytest.mark.parametrize(("method", "path", "bearer", "bound"), BOUNDS)
def test_a_body_over_its_routes_bound_is_refused_before_any_of_it_is_read(server, method, path, bearer, bound):
    assert status_of_announcing(server, method, path, bearer, bound + 1) == 413


@pytest.mark.parametrize(("path", "bearer", "bound"), [row[1:] for row in BOUNDS[:7]])  # the others read no body
def test_a_body_without_a_length_is_read_up_to_the_bound_and_no_further(server, path, bearer, bound):
    pieces = (b" " * KB for _ in range(bound // KB + 1))
    answer = server.post(path, None, bearer, data=pieces, headers=JSON)
    assert answer.status_code == 413


def test_of_whoever_may_not_call_no_body_is_read(server):
    assert status_of_announcing(server, "POST", "/api/scans", "cx_nobody", 1 << 40) == 401
    viewer = token(server, "viewer", "looks on")
    assert status_of_announcing(server, "POST", "/api/scans", viewer, 8192 * KB) == 403


@pytest.mark.parametrize(("tool", "fits"), [("masscan", False), ("zmap", False), ("nmap", True)])
def test_a_scan_is_bounded_by_its_kind(server, tool, fits):
    """Five megabytes: IPv6 addresses and names take that much, and only nmap scans them."""
    body = {"targets": ["127.0.0.1" + " " * (1000 * KB)] * 5, "tool": tool, "port": 80}
    answer = server.post("/api/scans", body)
    assert answer.status_code == (202 if fits else 413), answer.text
    assert fits or answer.json()["details"]["limit_bytes"] == 4 << 20


def test_padded_submits_do_not_fatten_what_others_read(server):
    greedy, viewer = token(server, "operator", "greedy"), token(server, "viewer", "looks on")
    padding = " " * (1000 * KB)
    padded = [f"127.0.0.1{padding}127.0.0.2", f"127.0.0.1 #{padding}\n127.0.0.2", "127.0.0.1,127.0.0.2 " * 5_000]
    ids = []
    for number in range(24):
        body = {"targets": [padded[number % 3]] * 7, "tool": "nmap", "port": 80}
        answer = server.post("/api/scans", body, greedy)
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["job_id"])
    listed = server.get("/api/scans?limit=24", viewer)
    assert {scan["job_id"] for scan in listed.json()} == set(ids)
    assert {scan["target"] for scan in listed.json()} == {"127.0.0.1,127.0.0.2"}
    assert len(listed.content) < 24 * HEAD_BYTES
    assert server.get(f"/api/scans/{ids[0]}", viewer).json()["target"] == "127.0.0.1,127.0.0.2"


def test_a_long_list_is_kept_whole_and_shown_in_part(server):
    addresses = ",".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(0, 40_000, 2))
    scan = server.post("/api/scans", {"target": addresses, "tool": "nmap", "port": 80}).json()["job_id"]
    (listed,) = server.get("/api/scans?limit=1").json()
    assert len(listed["target"].encode()) <= HEAD_BYTES and listed["target_truncated"] is True
    assert server.get(f"/api/scans/{scan}").json()["target"] == addresses
    entry = server.get("/api/audit?action=scan.submit&limit=1").json()["items"][0]
    assert entry["subject"] == scan and len(entry["detail"]["target"].encode()) <= HEAD_BYTES
    assert entry["detail"]["target_count"] == len(addresses)


def test_the_audit_keeps_two_kilobytes_of_whatever_it_is_told(server):
    targets = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(10_000)]
    made = server.post("/api/scopes", {"targets": targets, "owner": "o", "note": "n"})
    assert made.status_code == 201, made.text
    entry = server.get("/api/audit?action=scope.add&limit=1").json()["items"][0]
    assert entry["detail"]["targets_count"] == len(targets) and entry["detail"]["targets"][0] == targets[0]
    assert len(json.dumps(entry["detail"]["targets"])) < 2 * HEAD_BYTES


def test_a_key_of_another_token_of_the_same_name_repeats_nothing(server):
    """Whoever may have tokens made, or knows a name, would get another's scan back in place of his own."""
    mine, theirs = token(server, "operator", "ci"), token(server, "operator", "ci")
    key = {"Idempotency-Key": "build-17"}
    scan = {"target": "127.0.0.3", "tool": "nmap", "port": 80}
    first = server.post("/api/scans", scan, mine, headers=key).json()["job_id"]
    other = server.post("/api/scans", scan | {"target": "127.0.0.4"}, theirs, headers=key)
    assert other.status_code == 202 and other.json()["job_id"] != first
    assert server.post("/api/scans", scan, mine, headers=key).json()["job_id"] == first
    assert server.post("/api/scans", scan | {"port": 81}, mine, headers=key).status_code == 409


def test_the_audit_tells_tokens_of_one_name_apart(server):
    secrets = [token(server, "operator", "twin") for _ in range(2)]
    for secret in secrets:
        assert server.post("/api/scans", {"target": "127.0.0.5", "tool": "nmap", "port": 80}, secret).status_code == 202
    entries = server.get("/api/audit?principal=token:twin").json()["items"]
    ids = {made["id"] for made in server.get("/api/tokens").json() if made["name"] == "twin"}
    assert {entry["detail"]["token_id"] for entry in entries} == ids and len(ids) == 2


def probes(server: Gunicorn, address: str) -> list[dict[str, object]]:
    """The audit's entries about measuring this address."""
    entries = server.get("/api/audit?action=monitor.probe").json()["items"]
    return [entry for entry in entries if entry["subject"] == address]


def test_a_viewer_makes_the_backend_probe_nobody(server):
    viewer = token(server, "viewer", "curious")
    assert server.get("/api/system-monitor", viewer).status_code == 200, "the API's own machine is not probed"
    refused = server.get("/api/system-monitor?target=127.0.0.66", viewer)
    assert refused.status_code == 403 and "operator" in refused.json()["error"]
    assert probes(server, "127.0.0.66") == []


def test_who_probed_whom_is_in_the_audit_and_polls_do_not_fill_it(server):
    operator = token(server, "operator", "measures")
    for _ in range(5):
        assert server.get("/api/system-monitor?target=127.0.0.77", operator).status_code == 200
    (entry,) = probes(server, "127.0.0.77")
    assert (entry["principal"], entry["role"]) == ("token:measures", "operator")
    another = token(server, "operator", "measures")
    assert server.get("/api/system-monitor?target=127.0.0.77", another).status_code == 200
    assert len(probes(server, "127.0.0.77")) == 2
    assert server.get("/api/system-monitor?target=192.0.2.1", operator).status_code == 403
    assert probes(server, "192.0.2.1") == [], "nothing was sent there"
