"""What is refused before the ledger is even opened."""

from __future__ import annotations

import ipaddress
from contextlib import AbstractContextManager
from typing import Any

import pytest
from typing_extensions import override

from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import Address
from cloudx.domain.errors import InvalidInput, TooLarge
from cloudx.services.access.policy import PolicyCache
from cloudx.services.access.ports import Resolver
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.scans.scan_request import MAX_RATE_PPS, ScanRequest
from cloudx.services.scans.submit import SubmitScan

ADA = Principal("ada", Role.ADMIN)


class LedgerOpened(Exception):
    """The request got past the checks that need no ledger."""


class OneName(Resolver):
    """Knows one host name."""

    @override
    def resolve(self, host_name: str) -> list[Address]:
        return [ipaddress.ip_address("10.0.0.7")] if host_name == "known.example" else []


def never_opened(*, read_only: bool = False, at_once: bool = False) -> AbstractContextManager[Ledger]:
    raise LedgerOpened


def submit(targets: str = "10.0.0.0/24", tool: str = "masscan", **more: Any) -> None:
    SubmitScan(never_opened, OneName(), PolicyCache())(ScanRequest((targets,), tool, **more), ADA)


BAD = [
    ({"tool": "nikto"}, "tool"),
    ({"tool": "nmap", "scan_type": "tcp_syn"}, "scan_type"),
    ({}, "port"),
    ({"ports": ""}, "port"),
    ({"ports": " "}, "port"),
    ({"ports": "no-such-service"}, "port"),
    ({"ports": "T:80,U:53"}, "port"),
    ({"scan_type": "udp_scan", "ports": "T:80"}, "port"),
    ({"tool": "nmap", "scan_type": "tcp", "ports": "T:80,U:53"}, "port"),
    ({"tool": "nmap", "scan_type": "udp", "ports": "T:80,U:53"}, "port"),
    ({"tool": "zmap", "ports": "-"}, "port"),
    ({"tool": "zmap"}, "port"),
    ({"tool": "zmap", "ports": "80,81"}, "port"),
    ({"tool": "zmap", "scan_type": "icmp_echo", "ports": "80"}, "port"),
    ({"scan_type": "ping_scan", "ports": "80"}, "port"),
    ({"targets": "", "ports": "80"}, "target"),
    ({"targets": " , ", "ports": "80"}, "target"),
    ({"targets": "-iL/etc/passwd", "ports": "80"}, "target"),
    ({"targets": "unknown.example", "ports": "80"}, "target"),
    ({"targets": "fd00::1", "ports": "80"}, "target"),
    ({"targets": "fd00::1", "tool": "zmap", "ports": "80"}, "target"),
    ({"ports": "80", "exclude": ("--resume",)}, "exclude"),
    ({"ports": "80", "exclude": ("unknown.example",)}, "exclude"),
]


@pytest.mark.parametrize(("request_fields", "field"), BAD)
def test_a_bad_field_is_named_and_nothing_is_opened(request_fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        submit(**request_fields)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "request_fields",
    [{"ports": "80"}, {"ports": "http, https,"}, {"tool": "nmap", "scan_type": "intense", "ports": "T:80,U:53"},
     {"tool": "nmap", "scan_type": "udp", "ports": "U:53"}, {"tool": "zmap", "ports": "http"}, {"tool": "nmap"},
     {"tool": "zmap", "ports": "443"}, {"scan_type": "ping_scan"},
     {"tool": "nmap", "targets": "fd00::1"}, {"targets": "known.example", "ports": "1-1000"},
     {"ports": "80", "exclude": ("known.example", "10.0.0.1-5")}],
)  # fmt: skip
def test_a_good_request_goes_on_to_the_ledger(request_fields: dict[str, Any]) -> None:
    with pytest.raises(LedgerOpened):
        submit(**request_fields)


def test_too_many_entries_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooLarge):
        submit("10.0.0.1," * 100_001, ports="80")


def test_two_requests_are_the_same_only_when_every_field_is() -> None:
    base = ScanRequest(("10.0.0.1",), "nmap")
    assert base.sha256() == ScanRequest(("10.0.0.1",), "nmap").sha256()
    changed = [
        ScanRequest(("10.0.0.2",), "nmap"),
        ScanRequest(("10.0.0.1",), "masscan"),
        ScanRequest(("10.0.0.1",), "nmap", ports="80"),
        ScanRequest(("10.0.0.1",), "nmap", rate_pps=1),
        ScanRequest(("10.0.0.1",), "nmap", exclude=("10.0.0.1",)),
        ScanRequest(("10.0.0.1",), "nmap", priority=1),
        ScanRequest(("10.0.0.1",), "nmap", name="\ud800"),
    ]
    assert len({base.sha256(), *(one.sha256() for one in changed)}) == len(changed) + 1


def test_the_largest_rate_is_what_a_card_of_the_fastest_kind_sends() -> None:
    assert MAX_RATE_PPS == 10_000_000


@pytest.mark.parametrize("rate_pps", [20, 200, 2_000, 100_000])
@pytest.mark.parametrize("scan_type", ["intense", "vuln"])
def test_a_rate_is_refused_where_it_would_not_hold_and_the_types_that_keep_one_are_named(
    scan_type: str, rate_pps: int
) -> None:
    with pytest.raises(
        InvalidInput, match=r"takes no rate: .* Leave rate out, or use one of: default, quick"
    ) as caught:
        submit(tool="nmap", scan_type=scan_type, rate_pps=rate_pps)
    assert caught.value.field == "rate"
    with pytest.raises(LedgerOpened):
        submit(tool="nmap", scan_type=scan_type)


def test_a_time_limit_of_a_host_is_for_nmap_alone_and_says_so() -> None:
    with pytest.raises(InvalidInput, match="leave timeout_seconds out, or use nmap") as caught:
        submit(ports="80", timeout_seconds=30)
    assert caught.value.field == "timeout_seconds"
    for seconds in (0, -1, 10_000_000):
        with pytest.raises(InvalidInput, match="timeout_seconds is from 1 to"):
            submit(tool="nmap", timeout_seconds=seconds)
    with pytest.raises(LedgerOpened):
        submit(tool="nmap", timeout_seconds=30)
