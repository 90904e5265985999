"""A pause by hand on a real install with a real scanner: it falls silent, waits, and goes on. Needs root."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from fixtures.servers.network import Network
from fixtures.servers.service import Service, service_inside
from rig.waiting import until

SECONDS = 60  # on a busy machine
TARGETS = "10.77.0.0/21"


@pytest.fixture(scope="module")
def busy(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An install that cuts a scan of a few seconds into several chunks."""
    folder = tmp_path_factory.mktemp("pausing") / "install"
    with service_inside(network, folder, CLOUDX_CHUNK_SECONDS="1") as running:
        yield running


def test_a_paused_scan_falls_silent_goes_on_when_resumed_and_probes_all_of_it(busy: Service, network: Network) -> None:
    scan_id = busy.scan(target=TARGETS, tool="masscan", port=80, rate=700)
    until(lambda: busy.show(scan_id)["chunks"]["done"] > 0, SECONDS, lambda: busy.show(scan_id))
    answer = busy.cloudx("pause", scan_id)
    assert "is paused by admin" in answer.stdout + answer.stderr
    until(lambda: not busy.named("masscan"), SECONDS, lambda: busy.named("masscan"))
    paused = busy.show(scan_id)
    assert (paused["status"], paused["paused"], paused["paused_by"]) == ("running", True, "admin")
    assert paused["waiting_reason"].startswith("Paused by admin since ")
    assert 0 < paused["progress"] < 100

    before = network.target_counter()
    time.sleep(2)  # a worker would claim within half a second
    assert network.target_counter() - before < 10  # ARP and the like

    assert busy.cloudx("resume", scan_id).returncode == 0
    done = busy.wait_for(scan_id, SECONDS)
    assert (done["status"], done["paused"]) == ("completed", False)
    assert (done["coverage"]["completed"], done["coverage"]["planned"]) == (2048, 2048)
    lines = busy.cloudx("results", scan_id, "--format", "ndjson").stdout.splitlines()
    assert {(f["ip"], f["port"]) for f in map(json.loads, lines)} == network.expected(TARGETS, [80])


def test_a_suspended_scan_waits_for_its_resume(busy: Service) -> None:
    made = busy.cloudx("scan", "10.77.0.1", "--tool", "nmap", "--ports", "80", "--suspended", "--json")
    scan_id = json.loads(made.stdout)["job_id"]
    assert (busy.show(scan_id)["paused"], busy.show(scan_id)["started_at"]) == (True, None)
    assert busy.call("POST", f"/api/scans/{scan_id}/resume").status_code == 200
    assert busy.wait_for(scan_id, SECONDS)["status"] == "completed"
    refused = busy.call("POST", f"/api/scans/{scan_id}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")
