"""A host that answers on every port is one verdict, beside hosts that do not. Real masscan and nmap; needs root."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from fixtures.servers.network import Network
from fixtures.servers.service import Service

TARPITS = ipaddress.ip_network("10.77.9.0/29")
TARGET = "10.77.9.0/28"


# Every port of TARPITS accepts, as behind a proxy that answers for all.
SYN_PROXY = ("PREROUTING", "-d", str(TARPITS), "-p", "tcp", "-j", "REDIRECT", "--to-ports", "80")


@pytest.mark.parametrize(
    "settings", [{"tool": "masscan", "rate": 5000}, {"tool": "nmap", "scan_type": "default"}], ids=["masscan", "nmap"]
)
def test_a_prefix_that_answers_on_everything_is_a_verdict_and_no_open_port(
    install: Service, network: Network, settings: dict[str, Any]
) -> None:
    with network.target_rule(*SYN_PROXY, table="nat"):
        scan_id = install.scan(target=TARGET, port="1-200,443", **settings)
        shown = install.wait_for(scan_id, 120)
    assert shown["status"] == "completed", shown
    rows = [
        json.loads(row) for row in install.call("GET", f"/api/scans/{scan_id}/results?format=ndjson").text.splitlines()
    ]
    opened = {(row["ip"], row["port"]) for row in rows if row["state"] == "open"}
    others = {pair for pair in network.expected(TARGET, [80, 443]) if ipaddress.ip_address(pair[0]) not in TARPITS}
    assert opened == others
    verdicts = [row for row in rows if row["state"] == "answers_all"]
    covered = {str(address) for row in verdicts for address in ipaddress.ip_network(row["prefix"])}
    assert covered == {str(address) for address in TARPITS}
    assert len(verdicts) < TARPITS.num_addresses
