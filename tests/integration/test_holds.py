"""A real scan falls silent while somebody has paused it and while its hours are closed, and goes on. Needs root."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

from fixtures.servers.network import Network
from fixtures.servers.service import Service
from rig.waiting import until

SECONDS = 60  # on a busy machine
TARGETS, RATE_PPS = "10.77.0.0/22", 150  # seven seconds of sending: each hold comes in their midst


def in_hours(hours: int) -> str:
    return f"{datetime.now(UTC) + timedelta(hours=hours):%H:%M}"


def assert_silent(install: Service, network: Network) -> None:
    """No scanner runs, and no probe leaves."""
    until(lambda: not install.named("masscan"), SECONDS, lambda: install.named("masscan"))
    before = network.target_counter()
    time.sleep(1.5)  # a worker would claim within half a second
    assert network.target_counter() - before < 10  # ARP and the like


def test_a_scan_is_silent_while_it_is_held_goes_on_afterwards_and_probes_all_of_it(
    install: Service, network: Network
) -> None:
    scan_id = install.scan(target=TARGETS, tool="masscan", port=80, rate=RATE_PPS)
    path = f"/api/scans/{scan_id}"
    until(lambda: install.show(scan_id)["progress"] > 0, SECONDS, lambda: install.show(scan_id))
    assert install.call("POST", f"{path}/pause").status_code == 200
    assert_silent(install, network)
    paused = install.show(scan_id)
    assert (paused["status"], paused["paused"], paused["paused_by"]) == ("running", True, "admin")
    assert paused["waiting_reason"].startswith("Paused by admin since ") and paused["progress"] < 100

    assert install.call("POST", f"{path}/resume").status_code == 200
    until(lambda: install.named("masscan"), SECONDS, lambda: install.show(scan_id))
    hours = {"timezone": "UTC", "windows": [{"from": in_hours(4), "to": in_hours(6)}]}
    scope = {"targets": ["10.77.0.0/16"], "owner": "ann", "note": "nights alone", "allowed_hours": hours}
    scope_id = install.call("POST", "/api/scopes", json=scope).json()["id"]
    assert_silent(install, network)
    waiting = install.show(scan_id)
    assert (waiting["status"], waiting["paused"]) == ("running", False)
    assert waiting["waiting_reason"].startswith(f"Waits for the hours of scope {scope_id} of ann: opens ")
    waits = datetime.fromisoformat(waiting["waits_until"]) - datetime.now(UTC)
    assert timedelta(hours=3, minutes=50) < waits <= timedelta(hours=4)

    assert install.call("DELETE", f"/api/scopes/{scope_id}").status_code == 200
    done = install.wait_for(scan_id, SECONDS)
    assert (done["status"], done["paused"], done["waits_until"]) == ("completed", False, None)
    assert (done["coverage"]["completed"], done["coverage"]["planned"]) == (1024, 1024)
    lines = install.call("GET", f"{path}/results?format=ndjson").text.splitlines()
    assert {(f["ip"], f["port"]) for f in map(json.loads, lines)} == network.expected(TARGETS, [80])


def test_the_command_line_submits_suspended_and_resumes_and_writes_hours(install: Service) -> None:
    made = install.cloudx("scan", "10.77.0.1", "--tool", "nmap", "--ports", "80", "--suspended", "--json")
    scan_id = json.loads(made.stdout)["job_id"]
    assert (install.show(scan_id)["paused"], install.show(scan_id)["started_at"]) == (True, None)
    assert install.cloudx("resume", scan_id).returncode == 0
    assert install.wait_for(scan_id, SECONDS)["status"] == "completed"
    refused = install.call("POST", f"/api/scans/{scan_id}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "illegal_transition")

    add = ("scopes", "add", "192.0.2.0/24", "--owner", "ann", "--note", "", "--hours")
    assert install.cloudx(*add, "mon-fri 22:00-06:00", "-z", "Europe/Berlin").returncode == 0
    assert "mon,tue,wed,thu,fri 22:00-06:00 Europe/Berlin" in " ".join(install.cloudx("scopes", "list").stdout.split())
    bad = install.cloudx(*add, "someday 22:00-06:00")
    assert bad.returncode == 2 and "'someday' is no day" in bad.stderr
    body = {"targets": ["192.0.2.0/24"], "owner": "ann", "allowed_hours": {"timezone": "Mars", "windows": []}}
    answer = install.call("POST", "/api/scopes", json=body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "allowed_hours")
