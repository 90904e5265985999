"""Caps by prefix through the real server, with a real scanner."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.servers.service import Service


def test_a_capped_scan_runs_to_its_end_below_its_cap_and_shows_it(service: Service) -> None:
    scan_id = service.scan(target="127.0.0.1", tool="nmap", ports="1-300", rate_per_prefix={"32": 800, "24": 2000})
    shown = service.wait_for(scan_id)
    assert shown["status"] == "completed" and shown["rate_per_prefix"] == {"24": 2000, "32": 800}
    assert shown["coverage"]["completed"] == shown["coverage"]["planned"] == 1


def test_the_command_line_takes_caps(service: Service) -> None:
    ended = service.cloudx("scan", "127.0.0.1", "--ports", "1-50", "--rate-per-prefix", "24:900", "--json")
    assert ended.returncode == 0, ended.stderr
    assert service.call("GET", "/api/scans").json()[0]["status"] == "completed"
    refused = service.cloudx("scan", "127.0.0.1", "--ports", "1-50", "--rate-per-prefix", "24")
    assert refused.returncode == 2 and "LENGTH:RATE" in refused.stderr


@pytest.mark.parametrize(
    ("caps", "more"),
    [
        ({"24": 0}, {}), ({"33": 5}, {}), ({}, {}), ({"24": "200"}, {}), ({"x": 1}, {}), ([24, 200], {}), (200, {}),
        ({"24": 200}, {"scan_type": "vuln"}),
        ({"24": 200}, {"tool": "masscan", "ports": "80", "then": {"tool": "nmap"}}),
    ],
)  # fmt: skip
def test_bad_caps_are_400_with_the_field_named(service: Service, caps: Any, more: dict[str, Any]) -> None:
    body = {"target": "127.0.0.1", "tool": "nmap", "rate_per_prefix": caps} | more
    answer = service.call("POST", "/api/scans", json=body)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_input", answer.text
    assert answer.json()["details"]["field"] == "rate_per_prefix"
