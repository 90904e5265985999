"""Who probed an address, through the API and from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.queue import Claimant
from fixtures.capabilities import CAPABILITIES
from fixtures.servers.api import ApiUnderTest
from fixtures.servers.service import Service

FIELDS = {
    "scan_id", "tool", "scan_type", "ports", "node_id", "source_ip", "started_at", "ended_at", "outcome", "asked_by",
    "scope",
}  # fmt: skip


@pytest.fixture
def probed(api: ApiUnderTest) -> ApiUnderTest:
    """An API with a scan of 10.0.0.0/30 by an operator, done."""
    api.register()
    operator = api.token("operator")
    body = {"target": "10.0.0.0/30", "tool": "masscan", "ports": "22,80-90"}
    assert api.post("/api/scans", body, token=operator).status_code == 202
    (scan,) = api.get("/api/scans").json or []
    api.complete(scan["job_id"])
    return api


def test_an_answer_has_the_fields_of_the_contract(probed):
    answer = probed.get("/api/probes?ip=10.0.0.1").json
    assert answer.keys() == {"ip", "from", "to", "probes"} and answer["ip"] == "10.0.0.1"
    (probe,) = answer["probes"]
    assert probe.keys() == FIELDS
    shown = {
        name: probe[name] for name in ("tool", "scan_type", "ports", "node_id", "source_ip", "outcome", "asked_by")
    }
    assert shown == {
        "tool": "masscan", "scan_type": "tcp_scan", "ports": "22,80-90", "node_id": "vps1", "source_ip": None,
        "outcome": "done", "asked_by": "token:a operator",
    }  # fmt: skip
    assert probe["scan_id"] == probed.get("/api/scans").json[0]["job_id"]
    (scope,) = probed.get("/api/scopes").json
    assert probe["scope"] == {name: scope[name] for name in ("id", "owner", "note")}


def test_the_window_lies_around_the_time_by_default_five_minutes_around_now(probed):
    answer = probed.get("/api/probes?ip=10.0.0.1").json
    since, until = (datetime.fromisoformat(answer[name]) for name in ("from", "to"))
    assert until - since == timedelta(minutes=10)
    assert abs(since + timedelta(minutes=5) - datetime.now(UTC)) < timedelta(minutes=1)
    started_at = datetime.fromisoformat(answer["probes"][0]["started_at"])
    an_hour_on = (started_at + timedelta(hours=1)).isoformat()
    path = f"/api/probes?ip=10.0.0.1&at={quote(an_hour_on)}"
    assert probed.get(path).json["probes"] == []
    assert len(probed.get(f"{path}&window=3600").json["probes"]) == 1
    offset = (started_at + timedelta(hours=1)).astimezone(tz=datetime.now().astimezone().tzinfo).isoformat()
    assert probed.get(f"/api/probes?ip=10.0.0.1&at={quote(offset)}").json["probes"] == []
    assert len(probed.get(f"/api/probes?ip=10.0.0.1&at={quote(started_at.isoformat())}&window=0").json["probes"]) == 1


def test_a_mapped_spelling_is_answered_as_the_ipv4_address(probed):
    answer = probed.get("/api/probes?ip=::ffff:10.0.0.1").json
    assert answer["ip"] == "10.0.0.1" and len(answer["probes"]) == 1
    assert probed.get("/api/probes?ip=FD00:0:0::1").json["ip"] == "fd00::1"


def test_a_running_attempt_tells_where_it_sends_from_and_has_no_end(api):
    api.register()
    scan_id = api.submit(target="10.0.0.1")
    claim = ClaimChunk(api.open_ledger, PolicyCache())(
        Claimant("vps1/w", "vps1", CAPABILITIES, 100_000, only_scan=scan_id)
    )
    assert claim is not None
    note_source(api.open_ledger, claim.lease, "192.0.2.9")
    (probe,) = api.get("/api/probes?ip=10.0.0.1").json["probes"]
    assert (probe["source_ip"], probe["outcome"], probe["ended_at"]) == ("192.0.2.9", None, None)


def test_a_viewer_may_not_ask_and_learns_nothing(probed):
    refused = probed.get("/api/probes?ip=10.0.0.1", token=probed.token("viewer"))
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden") and "probes" not in refused.json
    for role in ("operator", "admin"):
        assert len(probed.get("/api/probes?ip=10.0.0.1", token=probed.token(role)).json["probes"]) == 1


def test_asking_changes_nothing(probed):
    before = probed.rows()
    probed.get("/api/probes?ip=10.0.0.1")
    assert probed.rows() == before


def test_the_document_tells_the_names_that_the_answer_has(api):
    document = api.get("/api/openapi.json").json
    assert document["components"]["schemas"]["ProbesAnswer"]["properties"].keys() == {"ip", "from", "to", "probes"}
    assert document["components"]["schemas"]["ProbeItem"]["properties"].keys() == FIELDS


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(Path(tmp_path_factory.mktemp("probes")) / "data")
    running.start()
    yield running
    running.stop()


def test_the_command_line_tells_who_probed_this_machine_and_that_nobody_probed_another_address(own):
    scan_id = own.scan(target="127.0.0.1", tool="nmap", port=80)
    own.wait_for(scan_id)
    shown = own.cloudx("probes", "127.0.0.1", "--window", "600")
    assert shown.returncode == 0, shown.stderr
    row = next(line for line in shown.stdout.splitlines() if scan_id in line)
    words = ("done", "127.0.0.1", "nmap default", "80", "admin", "setup: Loopback and private ranges")
    assert all(word in row for word in words), row
    assert "One attempt may have sent to 127.0.0.1 between" in shown.stderr
    answer = json.loads(own.cloudx("probes", "127.0.0.1", "--json").stdout)
    assert [probe["scan_id"] for probe in answer["probes"]] == [scan_id]
    assert answer["probes"][0]["source_ip"] == "127.0.0.1"
    nobody = own.cloudx("probes", "127.0.0.2")
    assert (nobody.returncode, nobody.stdout) == (0, "") and "No attempt may have sent to 127.0.0.2" in nobody.stderr
    before = own.cloudx("probes", "127.0.0.1", "--at", "2020-01-01T00:00:00Z")
    assert "No attempt" in before.stderr and "2020-01-01T00:05:00Z" in before.stderr


@pytest.mark.parametrize("arguments", [["10.0.0.0/8"], ["127.0.0.1", "--at", "noon"], ["127.0.0.1", "--window", "-1"]])
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(own, arguments):
    ended = own.cloudx("probes", *arguments)
    assert ended.returncode == 2 and "(invalid_input)" in ended.stderr, ended.stderr
