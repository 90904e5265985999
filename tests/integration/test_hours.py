"""A running scan falls silent when the hours of a scope close, and goes on when they are gone. Needs root."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from fixtures.servers.network import Network
from fixtures.servers.service import Service
from rig.waiting import until

SECONDS = 60  # on a busy machine


def in_hours(hours: int) -> str:
    return f"{datetime.now(UTC) + timedelta(hours=hours):%H:%M}"


def test_a_scan_keeps_to_the_hours_of_its_scope_from_one_moment_to_the_next(install: Service, network: Network) -> None:
    scan_id = install.scan(target="10.77.0.0/22", tool="masscan", port=80, rate=200)
    until(lambda: install.show(scan_id)["progress"] > 1, SECONDS, lambda: install.show(scan_id))
    add = ("scopes", "add", "10.77.0.0/16", "--owner", "ann", "--note", "nights alone")
    closed = f"{in_hours(4)}-{in_hours(6)}"
    added = install.cloudx(*add, "--hours", closed, "--timezone", "UTC")
    assert added.returncode == 0, added.stderr
    scope_id = added.stdout.strip()
    until(lambda: not install.named("masscan"), SECONDS, lambda: install.named("masscan"))
    waiting = install.show(scan_id)
    assert (waiting["status"], waiting["paused"]) == ("running", False)
    assert waiting["waiting_reason"].startswith(f"Waits for the hours of scope {scope_id} of ann: opens ")
    waits = datetime.fromisoformat(waiting["waits_until"]) - datetime.now(UTC)
    assert timedelta(hours=3, minutes=50) < waits <= timedelta(hours=4)
    assert closed in install.cloudx("scopes", "list").stdout
    before = network.target_counter()
    time.sleep(2)
    assert network.target_counter() - before < 10

    suspended = install.scan(target="10.77.0.1", tool="nmap", port=80)
    assert install.show(suspended)["waits_until"] is not None
    assert install.cloudx("scopes", "remove", scope_id).returncode == 0
    assert install.wait_for(suspended, SECONDS)["status"] == "completed"
    done = install.wait_for(scan_id, SECONDS)
    assert (done["status"], done["coverage"]["completed"], done["waits_until"]) == ("completed", 1024, None)


def test_bad_hours_are_refused_with_the_field_and_what_it_takes(install: Service) -> None:
    add = ("scopes", "add", "10.77.0.0/16", "--owner", "ann", "--note", "")
    for hours in ("late", "someday 22:00-06:00", "22:00-22:00", "25:00-06:00"):
        refused = install.cloudx(*add, "--hours", hours)
        assert (refused.returncode == 2 and "22:00" in refused.stderr) or "24:00" in refused.stderr, refused.stderr
    body = {"targets": ["10.77.0.0/16"], "owner": "ann", "allowed_hours": {"timezone": "Mars", "windows": []}}
    answer = install.call("POST", "/api/scopes", json=body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "allowed_hours")
