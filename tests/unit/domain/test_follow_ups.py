"""What follows from the open ports of one chunk: each of them in exactly one run of nmap's, and no other port."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import to_key
from cloudx.domain.findings import PORT_SHIFT, ROW_SHIFT, Answer, Finding, FindingBlock, Found, HostFinding
from cloudx.domain.stages.follow_ups import (
    MAX_HOSTS,
    MAX_PORTS_ASKED,
    MAX_PORTS_OF_A_HOST,
    MAX_PORTS_PROBED,
    FollowUps,
    OpenPorts,
    follow_ups,
)
from cloudx.domain.tools import SCAN_TYPES, ScanType, Tool

INTENSE, DEFAULT = SCAN_TYPES[Tool.NMAP, "intense"], SCAN_TYPES[Tool.NMAP, "default"]
AT = datetime(2026, 3, 4, tzinfo=UTC)
few_hosts = st.dictionaries(st.integers(0, 40), st.frozensets(st.integers(1, 12), min_size=1), max_size=30)
alike = st.tuples(st.integers(1, 80), st.integers(1, 300)).map(
    lambda shape: {host: frozenset(range(1, shape[1] + 1)) for host in range(shape[0])}
)


def served(following: FollowUps) -> Counter[tuple[int, int]]:
    return Counter(
        (to_key(address), port)
        for part in following.parts
        for address in part.addresses
        for first, last in part.ports.ranges
        for port in range(first, last + 1)
    )


@given(st.one_of(few_hosts, alike), st.sampled_from([INTENSE, DEFAULT]))
def test_each_open_port_is_in_exactly_one_part_and_no_other_port_is_in_any(
    ports_by_host: dict[int, frozenset[int]], scan_type: ScanType
) -> None:
    open_ports = [(host, port) for host, ports in ports_by_host.items() for port in ports]
    following = follow_ups(open_ports, scan_type)
    assert served(following) == Counter(open_ports)
    assert not following.left_out
    assert sum(part.units for part in following.parts) == len(open_ports)
    most = MAX_PORTS_ASKED if scan_type is INTENSE else MAX_PORTS_PROBED
    assert all(part.units <= most and part.addresses.size <= MAX_HOSTS for part in following.parts)


@given(few_hosts)
def test_addresses_with_the_same_ports_share_a_run_and_others_do_not(
    ports_by_host: dict[int, frozenset[int]],
) -> None:
    open_ports = [(host, port) for host, ports in ports_by_host.items() for port in ports]
    assert len(follow_ups(open_ports, DEFAULT).parts) == len(set(ports_by_host.values()))


def test_an_address_with_too_many_open_ports_is_left_out_and_named() -> None:
    many = [(1, port) for port in range(1, MAX_PORTS_OF_A_HOST + 2)]
    just = [(2, port) for port in range(1, MAX_PORTS_OF_A_HOST + 1)]
    following = follow_ups([*many, *just], INTENSE)
    assert served(following) == Counter(just)
    assert following.left_out.texts() == ["0.0.0.1"]


def test_only_open_tcp_ports_follow_from_findings_and_from_blocks() -> None:
    answers = [Answer("tcp", "open", AT), Answer("tcp", "closed", AT), Answer("udp", "open", AT)]
    cells = [
        0 << ROW_SHIFT | 80 << PORT_SHIFT | 0,
        0 << ROW_SHIFT | 81 << PORT_SHIFT | 1,
        1 << ROW_SHIFT | 53 << PORT_SHIFT | 2,
    ]
    findings: list[Found] = [
        Finding("10.0.0.1", "tcp", 22, "open", AT),
        Finding("10.0.0.1", "tcp", 0, "answers_all", AT),
        Finding("10.0.0.2", "icmp", 0, "up", AT),
        HostFinding("10.0.0.3", "up", AT),
        FindingBlock([0x0A000004, 0x0A000005], answers, cells),
    ]
    open_ports = OpenPorts()
    assert list(open_ports.passing(findings)) == findings
    assert list(open_ports) == [(0x0A000001, 22), (0x0A000004, 80)]
