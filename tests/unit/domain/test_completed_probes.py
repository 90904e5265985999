"""Which probes a scan completed: its plan without its gaps, and no more than the ledger proves."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.diff.completed import CompletedProbes, may_fold
from cloudx.domain.planning.chunk_plan import plan
from cloudx.domain.scans import Scan
from cloudx.domain.tools import SCAN_TYPES, Tool
from unit.domain.scan_builder import a_scan

TARGETS = "10.0.0.0/26"


def shows(
    completed: CompletedProbes, ip: str, port: int, protocol: str = "tcp", state: str = "open", host_seen: bool = True
) -> bool:
    return completed.would_show(ip, protocol, port, state, host_seen=host_seen)


@given(st.data())
def test_what_is_proven_is_exactly_the_rectangles_that_are_not_gaps(data: st.DataObject) -> None:
    scan = a_scan("10.0.0.0-9 10.0.1.0-4", ports="1-3,80,90-92", rate_pps=data.draw(st.integers(1, 5)))
    spans = list(plan(scan, expected_workers=2))
    gaps = data.draw(st.lists(st.sampled_from(spans), unique=True))
    completed = CompletedProbes(scan, gaps, scan)
    probed = {
        (str(address), port)
        for span in spans
        if span not in gaps
        for address in span.addresses_of(scan)
        for port in _ports_in(span, scan)
    }
    ips = [f"10.0.{third}.{last}" for third in (0, 1, 2) for last in range(12)]
    shown = {(ip, port) for ip in ips for port in range(100) if shows(completed, ip, port)}
    assert shown == probed


def _ports_in(span: ChunkSpan, scan: Scan) -> list[int]:
    ports = span.ports_of(scan)
    assert ports is not None
    return [port for first, last in ports.ranges for port in range(first, last + 1)]


@given(st.sets(st.integers(0, 63)), st.integers(0, 63))
def test_a_host_of_a_gap_is_not_proven_and_its_neighbours_are(rows: set[int], row: int) -> None:
    scan = a_scan(TARGETS, Tool.NMAP, ports="80")
    gaps = [ChunkSpan(number, at, 1) for number, at in enumerate(rows)]
    assert shows(CompletedProbes(scan, gaps, scan), f"10.0.0.{row}", 80) == (row not in rows)


@pytest.mark.parametrize("key", SCAN_TYPES, ids=str)
def test_no_scan_proves_anything_of_another_protocol_or_of_an_address_that_it_leaves_out(key: tuple[Tool, str]) -> None:
    scan = a_scan(TARGETS, key[0], type_name=key[1], ports="80" if SCAN_TYPES[key].protocol != "icmp" else None)
    completed, mine = CompletedProbes(scan, [], scan), SCAN_TYPES[key].protocol
    port = 0 if mine == "icmp" else 80
    assert [
        protocol for protocol in ("tcp", "udp", "icmp", "sctp") if shows(completed, "10.0.0.1", port, protocol)
    ] == [mine]
    assert not shows(completed, "10.0.0.64", port, mine)
    assert not shows(completed, "fd00::1", port, mine)


def test_of_a_host_that_nmap_did_not_find_up_nothing_is_proven() -> None:
    scan = a_scan(TARGETS, Tool.NMAP, ports="80")
    assert not shows(CompletedProbes(scan, [], scan), "10.0.0.1", 80, host_seen=False)


@pytest.mark.parametrize(("tool", "type_name", "is_proven"), [
    (Tool.MASSCAN, "udp_scan", False), (Tool.NMAP, "udp", True),
])  # fmt: skip
def test_silence_is_proven_gone_only_by_a_tool_that_reports_silence(
    tool: Tool, type_name: str, is_proven: bool
) -> None:
    scan = a_scan(TARGETS, tool, type_name=type_name, ports="53")
    assert shows(CompletedProbes(scan, [], scan), "10.0.0.1", 53, "udp", state="open|filtered") == is_proven


def test_a_million_gaps_are_held_in_flat_memory_and_found() -> None:
    scan = a_scan("10.0.0.0/11")
    gaps = (ChunkSpan(number, 2 * number, 1) for number in range(1 << 20))
    completed = CompletedProbes(scan, gaps, scan)
    for row in (0, 1, 77_776, 77_777, (1 << 21) - 1):
        ip = str(ipaddress.IPv4Address((10 << 24) + row))
        assert shows(completed, ip, 80) == (row % 2 == 1)


@pytest.mark.parametrize(("ports", "may"), [("1-99", False), ("1-100", True), (None, True)])
def test_hosts_are_folded_where_a_hundred_ports_are_asked_for(ports: str | None, may: bool) -> None:
    assert may_fold(a_scan(TARGETS, Tool.NMAP, ports=ports)) == may
