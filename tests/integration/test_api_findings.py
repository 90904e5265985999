"""The search over all scans, through the API: filters, pages, formats, and what users may get wrong."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudx.domain.findings import Finding
from fixtures.servers.api import ApiUnderTest

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EVIL = '=cmd|"/C calc"!A0'


@pytest.fixture
def fleet(api: ApiUnderTest) -> ApiUnderTest:
    api.register()
    return api


def nmap_finding(ip: str, port: int, service: str, product: str, hostname: str) -> Finding:
    return Finding(ip, "tcp", port, "open", AT, service, hostname, {"product": product, "banner": EVIL})


@pytest.fixture
def scans(fleet: ApiUnderTest) -> tuple[str, str]:
    """What masscan found, then what nmap found of some of it."""
    by_masscan = fleet.submit(target="10.0.0.0/24", tool="masscan", port="22,80,443", rate=100_000)
    ports = [("10.0.0.1", 80), ("10.0.0.2", 22), ("10.0.0.200", 443)]
    fleet.complete(by_masscan, [Finding(ip, "tcp", port, "open", AT) for ip, port in ports])
    by_nmap = fleet.submit(target="10.0.0.1-10.0.0.2", tool="nmap", port="22,80", scan_type="intense")
    seen = [
        nmap_finding("10.0.0.1", 80, "http", "nginx", "www.example.com"),
        nmap_finding("10.0.0.2", 22, "ssh", "OpenSSH", "gate.example.com"),
    ]
    fleet.complete(by_nmap, seen)
    return by_masscan, by_nmap


def found(fleet: ApiUnderTest, **query: Any) -> list[tuple[str, int]]:
    answer = fleet.get("/api/findings", query_string=query)
    assert answer.status_code == 200, answer.text
    return sorted((one["ip"], one["port"]) for one in answer.get_json()["items"])


ONE, TWO, OTHER = ("10.0.0.1", 80), ("10.0.0.2", 22), ("10.0.0.200", 443)


@pytest.mark.parametrize(("query", "expected"), [
    ({}, [ONE, TWO, OTHER]),
    ({"ip": "10.0.0.1"}, [ONE]),
    ({"ip": "::ffff:10.0.0.1"}, [ONE]),
    ({"cidr": "10.0.0.0/25"}, [ONE, TWO]),
    ({"cidr": "10.0.0.9/24", "ip": "10.0.0.200"}, [OTHER]),
    ({"port": "80"}, [ONE]),
    ({"port": "20-80"}, [ONE, TWO]),
    ({"port": "https, ssh"}, [TWO, OTHER]),
    ({"port": "0"}, []),
    ({"protocol": "tcp"}, [ONE, TWO, OTHER]),
    ({"protocol": "udp"}, []),
    ({"service": "HT"}, [ONE]),
    ({"product": "openssh"}, [TWO]),
    ({"product": "penSS", "service": "ssh"}, [TWO]),
    ({"product": "%"}, []),
    ({"product": "n_inx"}, []),
    ({"hostname": "EXAMPLE"}, [ONE, TWO]),
    ({"hostname": "gate", "port": "80"}, []),
    ({"hostname": "'; DROP TABLE findings; --"}, []),
    ({"since": "2026-01-02T03:04:05Z", "until": "2026-01-02T03:04:05Z"}, [ONE, TWO, OTHER]),
    ({"since": "2026-01-02T04:04:06+01:00"}, []),
    ({"latest": "false"}, [ONE, ONE, TWO, TWO, OTHER]),
])  # fmt: skip
def test_a_filter_leaves_in_what_it_names(fleet, scans, query, expected):
    assert found(fleet, **query) == expected


def test_a_scan_has_what_it_found_last(fleet, scans):
    by_masscan, by_nmap = scans
    assert found(fleet, scan=by_masscan) == [OTHER]
    assert found(fleet, scan=by_masscan, latest="false") == [ONE, TWO, OTHER]
    assert found(fleet, scan=by_nmap) == [ONE, TWO]


def test_the_newest_of_a_port_says_when_it_was_seen_first_and_last(fleet):
    for later in (timedelta(hours=2), timedelta()):  # the first to be committed observed it last
        scan_id = fleet.submit(target="10.0.0.7", tool="masscan", port="80")
        fleet.complete(scan_id, [Finding("10.0.0.7", "tcp", 80, "open", AT + later)])
    (item,) = fleet.get("/api/findings?ip=10.0.0.7").json["items"]
    assert item["scan_id"] == scan_id
    assert (item["first_seen"], item["last_seen"]) == ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z")
    assert item["observed_at"] == item["last_seen"]
    listed = fleet.get("/api/findings?ip=10.0.0.7&latest=false").json["items"]
    assert [one["observed_at"] for one in listed] == ["2026-01-02T05:04:05Z", "2026-01-02T03:04:05Z"]
    assert "first_seen" not in listed[0]


def test_the_pages_by_cursor_are_the_whole_newest_first(fleet):
    scan_id = fleet.submit(target="10.0.0.0/24", tool="masscan", port="80", rate=100_000)
    at = [AT + timedelta(seconds=number % 7) for number in range(100)]
    fleet.complete(scan_id, [Finding(f"10.0.0.{n}", "tcp", 80, "open", at[n]) for n in range(100)])
    path: Any = "/api/findings?limit=9&cidr=10.0.0.0/24"
    items: list[Any] = []
    while path:
        answer = fleet.get(path)
        assert len(answer.json["items"]) <= 9
        items += answer.json["items"]
        path = answer.headers.get("Link", "").partition(">")[0][1:]
    assert len({one["ip"] for one in items}) == len(items) == 100
    times = [one["observed_at"] for one in items]
    assert times == sorted(times, reverse=True)
    lines = fleet.get("/api/findings?format=ndjson").data.splitlines()
    assert [json.loads(line) for line in lines] == items


def test_csv_has_the_columns_of_every_export_and_runs_no_formula(fleet, scans):
    answer = fleet.get("/api/findings?format=csv&service=http")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="findings.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["ip"], row["port"], row["service"], row["last_seen"]) == (
        "10.0.0.1",
        "80",
        "http",
        "2026-01-02T03:04:05Z",
    )
    assert not any(value.startswith("=") for value in row.values())


@pytest.mark.parametrize(("query", "field"), [
    ("ip=10.0.0.0/24", "ip"), ("ip=fe80::1%25eth0", "ip"), ("ip=", "ip"), ("ip=x", "ip"),
    ("cidr=10.0.0.1", "cidr"), ("cidr=10.0.0.0/33", "cidr"), ("cidr=x/8", "cidr"),
    ("port=0-5", "port"), ("port=65536", "port"), ("port=x", "port"), ("port=", "port"), ("port=U:53", "port"),
    ("protocol=gre", "protocol"), ("service=", "service"), ("product=%00", "product"),
    ("hostname=" + "x" * 101, "hostname"),
    ("since=yesterday", "since"), ("since=2026-01-02T03:04:05", "since"), ("until=1969-01-01T00:00:00Z", "until"),
    ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
    ("scan=last", "scan"), ("latest=perhaps", "latest"), ("cursor=x", "cursor"), ("cursor=MSAxIDE", "cursor"),
    ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5IDE", "cursor"), ("limit=0", "limit"), ("limit=5001", "limit"),
    ("format=xml", "format"),
])  # fmt: skip
def test_what_users_get_wrong_is_a_400_that_names_the_field(fleet, query, field):
    answer = fleet.get(f"/api/findings?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json["code"] == "invalid_input"
    assert field in json.dumps(answer.json["details"])


def test_who_may_not_read_gets_nothing(fleet):
    assert fleet.get("/api/findings", token=None).status_code == 401
    assert fleet.get("/api/findings", token=fleet.token("viewer")).status_code == 200
    assert fleet.get("/api/findings", token=fleet.token("node", node_id="vps1")).status_code == 403
