"""The document of a scan's results, as the frontend reads it."""

from __future__ import annotations

from datetime import UTC, datetime

from cloudx.domain.tools import Tool
from cloudx.services.ledger.records import FindingRow, HostRow
from cloudx.services.results.document import show_nmap_host, show_results
from cloudx.services.results.inline import InlineFindings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_nmap_host_reads_as_nmaps_own_document_with_plain_keys() -> None:
    host = HostRow("10.0.0.1", "up", "a.example", "Linux 5", {}, NOW)
    row = FindingRow(
        "s", "10.0.0.1", "tcp", 80, "open", "http", None, NOW, "n", {"product": "nginx", "reason": "syn-ack"}
    )
    assert show_nmap_host(host, [row]) == {
        "address": {"addr": "10.0.0.1", "addrtype": "ipv4"},
        "status": {"state": "up"},
        "hostnames": {"hostname": {"name": "a.example"}},
        "os": {"osmatch": [{"name": "Linux 5"}]},
        "ports": {
            "port": [
                {
                    "portid": 80,
                    "protocol": "tcp",
                    "state": {"state": "open"},
                    "service": {"name": "http", "product": "nginx"},
                }
            ]
        },
    }
    bare = show_nmap_host(HostRow("fd00::1", "up", None, None, {}, NOW), [])
    assert (bare["address"]["addrtype"], bare["hostnames"], bare["os"]) == ("ipv6", {}, {"osmatch": []})


def test_every_name_that_an_address_was_asked_by_is_shown() -> None:
    several = {"hostnames": ["a.test", "b.test"]}
    shown = show_nmap_host(HostRow("10.0.0.1", "up", "a.test", None, several, NOW), [])
    assert shown["hostnames"] == {"hostname": {"name": "a.test"}, "names": ["a.test", "b.test"]}
    rows = tuple(
        FindingRow("s", ip, "tcp", 80, "open", None, "a.test", NOW, "n", extra)
        for ip, extra in (("10.0.0.1", several), ("10.0.0.2", {}))
    )
    one, other = show_results(Tool.MASSCAN, InlineFindings((), rows, truncated=False))["hosts"]
    assert (one["hostnames"], other["hostnames"]) == (["a.test", "b.test"], ["a.test"])


def test_hosts_of_other_tools_are_listed_with_their_ports_and_one_that_answered_a_ping_without() -> None:
    rows = tuple(
        FindingRow("s", ip, "tcp" if port else "icmp", port, "open", None, None, NOW, "n", {})
        for ip, port in (("10.0.0.1", 80), ("10.0.0.1", 443), ("10.0.0.2", 0))
    )
    assert show_results(Tool.MASSCAN, InlineFindings((), rows, truncated=False)) == {
        "hosts": [
            {"host": "10.0.0.1", "ports": [{"portid": 80, "state": "open"}, {"portid": 443, "state": "open"}]},
            {"host": "10.0.0.2", "ports": []},
        ]
    }
