"""Scans through the API: submit, list, show, stop, delete, results and coverage."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.services.scans import results as read_results
from fixtures.servers.api import ApiUnderTest

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def fleet(api: ApiUnderTest) -> ApiUnderTest:
    api.register()
    return api


def open_port(ip: str, port: int, **changes: Any) -> Finding:
    more: dict[str, Any] = {"service": "http"} | changes
    return Finding(ip, "tcp", port, "open", AT, **more)


def three_hosts() -> list[AnyFinding]:
    hosts = [HostFinding(f"127.0.0.{n}", "up", AT, hostname=f"h{n}", os_name="Linux 6.1") for n in (1, 2, 3)]
    return [*hosts, *(open_port(f"127.0.0.{n}", 80, extra={"product": "nginx"}) for n in (1, 2, 3))]


def test_a_scan_that_was_answered_202_is_in_the_database(fleet):
    answer = fleet.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap", "scan_type": "tcp", "port": "1-1000"})
    assert answer.status_code == 202 and answer.json["status"] == "submitted"
    shown = fleet.get(answer.headers["Location"]).json
    assert shown["job_id"] == answer.json["job_id"]
    assert (shown["tool"], shown["target"], shown["scan_type"], shown["ports"]) == (
        "nmap",
        "127.0.0.1",
        "tcp",
        "1-1000",
    )
    assert shown["status"] == "submitted" and shown["progress"] == 0 and shown["results"] is None
    assert datetime.fromisoformat(shown["created_at"]).utcoffset() == timedelta()
    assert shown["created_by"] == "admin" and shown["coverage"]["planned"] == 1


@pytest.mark.parametrize(("port", "shown"), [(80, "80"), ("80", "80"), ("1-1000", "1-1000"), ("80,443", "80,443")])
def test_a_port_may_be_a_number_or_a_text(fleet, port, shown):
    assert fleet.get(f"/api/scans/{fleet.submit(port=port)}").json["ports"] == shown


def test_everything_the_contract_lets_one_ask_for_is_kept(fleet):
    scan_id = fleet.submit(
        target="10.0.0.0/30", targets=["10.0.1.1", "10.0.1.2"], tool="masscan", port=None, ports="80,443", rate=500,
        exclude=["10.0.0.0", "10.0.0.3"], priority=5, name="weekly", retries=2, budget_seconds=3600,
    )  # fmt: skip
    shown = fleet.get(f"/api/scans/{scan_id}").json
    assert (shown["rate"], shown["priority"], shown["name"]) == (500, 5, "weekly")
    assert (shown["retries"], shown["budget_seconds"]) == (2, 3600)
    assert shown["coverage"] | {"unit": ""} == {
        "unit": "", "planned": 12, "completed": 0, "excluded": 4, "failed": 0, "remaining": 8, "not_reached": 0,
        "packets_sent": None, "assumes": {"tries": 3, "wait_seconds": 3.0}, "stages": [],
    }  # fmt: skip


def test_the_same_idempotency_key_scans_once_and_another_body_is_a_conflict(fleet):
    body, key = {"target": "127.0.0.1", "tool": "nmap"}, {"Idempotency-Key": "k-1"}
    first, again = (fleet.post("/api/scans", body, headers=key) for _ in range(2))
    assert first.json["job_id"] == again.json["job_id"] and fleet.rows()["scans"] == 1
    other = fleet.post("/api/scans", body | {"tool": "masscan", "port": 80, "target": "10.0.0.1"}, headers=key)
    assert other.status_code == 409 and other.json["code"] == "conflict"


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ä"])
def test_a_key_that_cannot_be_one_is_refused(fleet, key):
    refused = fleet.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap"}, headers={"Idempotency-Key": key})
    assert refused.status_code == 400 and refused.json["details"]["field"] == "Idempotency-Key"
    assert fleet.rows()["scans"] == 0


def test_without_a_capable_node_the_answer_is_409_with_the_remedy(api):
    refused = api.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap"})
    assert refused.status_code == 409 and refused.json["code"] == "no_capable_node"
    assert "cloudx worker" in refused.json["error"] and api.rows()["scans"] == 0


def test_the_list_is_a_plain_array_newest_first_in_pages_that_link_on(fleet):
    made = [fleet.submit() for _ in range(5)]
    seen: list[str] = []
    path: str | None = "/api/scans?limit=2"
    while path:
        page = fleet.get(path)
        seen += [scan["job_id"] for scan in page.json]
        link = page.headers.get("Link")
        path = link.partition(">")[0].lstrip("<") if link else None
        assert path is None or link.endswith('rel="next"')
    assert seen == made[::-1]


def test_the_list_can_be_narrowed_by_status_and_tool_and_the_link_keeps_that(fleet):
    nmap = [fleet.submit() for _ in range(2)]
    fleet.submit(tool="masscan", target="10.0.0.1")
    fleet.post(f"/api/scans/{nmap[0]}/stop", None)
    assert [s["job_id"] for s in fleet.get("/api/scans?status=stopped").json] == [nmap[0]]
    assert [s["job_id"] for s in fleet.get("/api/scans?tool=nmap&status=submitted").json] == [nmap[1]]
    assert "tool=nmap" in fleet.get("/api/scans?tool=nmap&limit=1").headers["Link"]


def test_stopping_ends_it_and_stopping_again_changes_nothing(fleet):
    scan_id = fleet.submit()
    for _ in range(2):
        assert "stopped" in fleet.call("POST", f"/api/scans/{scan_id}/stop").json["message"]
    shown = fleet.get(f"/api/scans/{scan_id}").json
    assert shown["status"] == "stopped" and shown["chunks"]["cancelled"] == 1 and shown["finished_at"]


def test_deleting_leaves_nothing_of_it(fleet):
    before = fleet.rows()
    scan_id = fleet.submit()
    fleet.complete(scan_id, three_hosts())
    fleet.get(f"/api/scans/{scan_id}")
    assert fleet.call("DELETE", f"/api/scans/{scan_id}").status_code == 200
    assert fleet.get(f"/api/scans/{scan_id}").status_code == 404
    assert fleet.get(f"/api/scans/{scan_id}/results").status_code == 404
    assert {k: v for k, v in fleet.rows().items() if k != "audit"} == {k: v for k, v in before.items() if k != "audit"}


def test_nmap_results_have_the_shape_the_frontend_reads(fleet):
    scan_id = fleet.submit(target="127.0.0.1-3")
    fleet.complete(scan_id, three_hosts())
    shown = fleet.get(f"/api/scans/{scan_id}").json
    assert shown["status"] == "completed" and shown["progress"] == 100
    host = shown["results"]["nmaprun"]["host"][0]
    assert host["address"]["addr"] == "127.0.0.1" and host["status"]["state"] == "up"
    assert host["hostnames"]["hostname"]["name"] == "h1" and host["os"]["osmatch"][0]["name"] == "Linux 6.1"
    assert host["ports"]["port"][0] | {"service": {}} == {
        "portid": 80, "protocol": "tcp", "state": {"state": "open"}, "service": {},
    }  # fmt: skip
    assert host["ports"]["port"][0]["service"]["name"] == "http"


def test_masscan_results_have_the_shape_the_frontend_reads(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/30", port="80")
    fleet.complete(scan_id, [open_port(f"10.0.0.{n}", 80, service=None) for n in (1, 2)])  # masscan asks for none
    assert fleet.get(f"/api/scans/{scan_id}").json["results"] == {
        "hosts": [{"host": f"10.0.0.{n}", "ports": [{"portid": 80, "state": "open"}]} for n in (1, 2)]
    }


def test_over_a_thousand_hosts_the_rest_is_at_the_results_url(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/20", port="80")
    fleet.complete(scan_id, [open_port(f"10.0.{n // 250}.{n % 250}", 80) for n in range(1001)])
    shown = fleet.get(f"/api/scans/{scan_id}").json
    assert len(shown["results"]["hosts"]) == 1000 and shown["results_truncated"] is True
    assert len(fleet.get(shown["results_url"] + "?limit=5000").json["items"]) == 1001


def test_result_pages_reach_every_finding_once_in_order(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/24", port="80,443")
    fleet.complete(scan_id, [open_port(f"10.0.0.{n}", port) for n in range(1, 21) for port in (80, 443)])
    seen, cursor = [], ""
    while cursor is not None:
        page = fleet.get(f"/api/scans/{scan_id}/results?limit=7" + (f"&cursor={cursor}" if cursor else ""))
        seen += [(item["ip"], item["port"]) for item in page.json["items"]]
        cursor = page.json["next_cursor"]
        assert ("Link" in page.headers) == (cursor is not None)
    assert len(seen) == len(set(seen)) == 40
    assert seen == [(f"10.0.0.{n}", port) for n in range(1, 21) for port in (80, 443)]


def test_every_format_has_every_finding_with_the_contracts_fields(fleet, monkeypatch):
    monkeypatch.setattr(read_results, "STREAM_PAGE", 3)
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/24", port="80")
    fleet.complete(scan_id, [open_port(f"10.0.0.{n}", 80, service="=1+1", extra={"ttl": n}) for n in range(1, 8)])
    url = f"/api/scans/{scan_id}/results?format="
    fields = {"scan_id", "ip", "hostname", "protocol", "port", "state", "service", "observed_at", "node_id"}
    ips = [f"10.0.0.{n}" for n in range(1, 8)]
    page = fleet.get(url + "json").json["items"]
    lines = [json.loads(line) for line in fleet.get(url + "ndjson").text.splitlines()]
    assert page == lines and [item["ip"] for item in lines] == ips
    assert lines[0].keys() == fields | {"ttl"} and lines[0]["node_id"] == "vps1" and lines[0]["service"] == "=1+1"
    table = list(csv.DictReader(io.StringIO(fleet.get(url + "csv").text, newline="")))
    assert [row["ip"] for row in table] == ips and fields <= table[0].keys() and table[0]["service"] == "'=1+1"
    xml = fleet.get(url + "xml")
    assert [address.get("addr") for address in etree.fromstring(xml.data).iterfind("host/address")] == ips
    assert xml.headers["Content-Disposition"].endswith('.xml"')


def test_the_proof_balances_and_says_who_did_what(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/24", port="80,443", rate=10, exclude="10.0.0.7")
    fleet.complete(scan_id)
    proof = fleet.get(f"/api/scans/{scan_id}/coverage").json
    assert (proof["planned"], proof["completed"], proof["excluded"], proof["failed"]) == (512, 510, 2, 0)
    assert proof["balances"] is True and proof["remaining"] == 0
    assert len(proof["chunks"]) > 1 and sum(chunk["units"] for chunk in proof["chunks"]) == 510
    attempts = [attempt for chunk in proof["chunks"] for attempt in chunk["attempts"]]
    assert {(a["node_id"], a["outcome"]) for a in attempts} == {("vps1", "done")}


def test_a_scan_alone_says_which_nodes_worked_on_it(fleet):
    scan_id = fleet.submit(tool="masscan", target="10.0.0.0/24", port="80", rate=10)
    fleet.complete(scan_id)
    shown = fleet.get(f"/api/scans/{scan_id}").json
    assert [w["node_id"] for w in shown["workers"]] == ["vps1"]
    assert shown["workers"][0]["chunks_done"] == shown["chunks"]["done"] > 1


def test_scopes_and_exclusions_are_listed_and_deleted_by_id(fleet):
    scope = fleet.post("/api/scopes", {"targets": ["192.0.2.0/24"], "owner": "me", "note": "agreed"})
    assert scope.status_code == 201 and scope.json["live"] is True
    assert fleet.post("/api/scans", {"target": "192.0.2.7", "tool": "nmap"}).status_code == 202
    exclusion = fleet.post("/api/exclusions", {"targets": ["192.0.2.7"], "note": "printer"})
    assert exclusion.status_code == 201
    done = fleet.post("/api/scans", {"target": "192.0.2.7", "tool": "nmap"}).json
    assert done["status"] == "submitted" or done["status"] == "completed"
    assert fleet.get(f"/api/scans/{done['job_id']}").json["coverage"]["excluded"] == 1
    for kind, made in (("scopes", scope), ("exclusions", exclusion)):
        assert made.json["id"] in [one["id"] for one in fleet.get(f"/api/{kind}").json]
        assert fleet.call("DELETE", f"/api/{kind}/{made.json['id']}").status_code == 200
        assert made.json["id"] not in [one["id"] for one in fleet.get(f"/api/{kind}").json]
    assert fleet.post("/api/scans", {"target": "192.0.2.7", "tool": "nmap"}).status_code == 403


def test_a_fresh_install_has_one_scope_and_the_error_says_how_to_add_more(fleet):
    assert len(fleet.get("/api/scopes").json) == 1
    refused = fleet.post("/api/scans", {"target": "192.0.2.7", "tool": "nmap"})
    assert refused.status_code == 403 and "cloudx scopes add 192.0.2.7" in refused.json["error"]
