"""How long nmap's runs are planned to take: no chunk for longer than its run may take, whatever the rate and ports."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.planning.chunk_plan import MAX_CHUNKS, plan
from cloudx.domain.planning.durations import (
    LEAST_LIMIT_SECONDS,
    MAX_HOST_SECONDS,
    MAX_SENDING_SECONDS,
    SPLIT_CHUNK_SECONDS,
    nmap_limit_seconds,
    ports_of_a_host,
    run_seconds,
    with_ports_split,
)
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.domain.tools import SCAN_TYPES, UNBOUNDED_PPS, Tool
from unit.domain.scan_builder import a_scan

TYPES = st.sampled_from([name for tool, name in SCAN_TYPES if tool is Tool.NMAP])
PORTS = st.one_of(st.none(), st.integers(1, 65535).map(lambda last: PortSet.of([(1, last)])))
RATES = st.one_of(st.integers(1, 100), st.integers(1, 100_000), st.just(UNBOUNDED_PPS))
WORKERS = st.integers(1, 20)


@st.composite
def planned_scans(draw: st.DrawFn) -> tuple[Scan, int]:
    """An nmap scan as it is cut, and how many nodes take part."""
    scan = a_scan("10.0.0.0/22", tool=Tool.NMAP, type_name=draw(TYPES), rate_pps=draw(RATES))
    scan = replace(scan, addresses=scan.addresses.slice(0, draw(st.integers(1, 1024))), ports=draw(PORTS))
    workers = draw(WORKERS)
    return with_ports_split(scan, workers, scan.rate_pps), workers


def share_of(scan: Scan, workers: int) -> float:
    """Packets per second of one of its runs."""
    return scan.rate_pps / (workers * scan.type.runs_per_node)


@settings(max_examples=150, deadline=None)
@given(planned_scans())
def test_no_chunk_is_planned_for_longer_than_its_run_may_take(planned: tuple[Scan, int]) -> None:
    scan, workers = planned
    for span in plan(scan, workers):
        port_count = span.port_count if scan.splits_ports else ports_of_a_host(scan.type, scan.ports)
        rate_pps = share_of(scan, workers)
        seconds = run_seconds(scan.type, span.address_count, port_count, rate_pps)
        granted = max(1, int(rate_pps))
        assert nmap_limit_seconds(scan, span.address_count, port_count, granted) >= LEAST_LIMIT_SECONDS
        if granted <= rate_pps:
            assert 3 * seconds <= nmap_limit_seconds(scan, span.address_count, port_count, granted)


@settings(max_examples=150, deadline=None)
@given(planned_scans())
def test_a_chunk_of_tcp_ports_is_planned_for_an_hour_at_most_unless_nmap_itself_picks_the_ports(
    planned: tuple[Scan, int],
) -> None:
    scan, workers = planned
    if scan.type.protocol == "udp" or (scan.ports is None and scan.type.name != "full"):
        return
    for span in plan(scan, workers):
        port_count = span.port_count if scan.splits_ports else ports_of_a_host(scan.type, scan.ports)
        if not scan.splits_ports and span.address_count > 1:
            assert span.address_count * port_count / share_of(scan, workers) <= MAX_SENDING_SECONDS + 1
        sending = span.address_count * port_count / share_of(scan, workers)
        a_port = 1 / share_of(scan, workers)  # one port is the least that a run can take
        # So that the plan has no more than MAX_CHUNKS; columns of equal width may take a second row.
        forced = 2 * -(-scan.addresses.size * scan.units_per_address // MAX_CHUNKS) * a_port
        assert sending <= max(MAX_HOST_SECONDS, SPLIT_CHUNK_SECONDS + a_port, forced) + 1


@settings(max_examples=60, deadline=None)
@given(planned_scans())
def test_the_chunks_cover_every_host_and_where_ports_are_cut_every_port_of_it_exactly_once(
    planned: tuple[Scan, int],
) -> None:
    scan, workers = planned
    spans = list(plan(scan, workers))
    assert sum(span.units for span in spans) == scan.planned_units
    for span in spans:
        assert span.ports_of(scan) == (
            scan.ports.slice(span.port_start, span.port_count) if scan.splits_ports and scan.ports else scan.ports
        )


def test_case_07_eight_hours_of_work_are_no_longer_one_chunk() -> None:
    scan = with_ports_split(a_scan("10.0.0.0/24", tool=Tool.NMAP, ports="1-65535", rate_pps=200), 1, 200)
    spans = list(plan(scan, 1))
    longest = max(span.address_count * 65_535 / 50 for span in spans)
    assert longest <= 65_535 / 50, "one host each"
    assert longest < nmap_limit_seconds(scan, 1, 65_535, 50)
    assert scan.counts_hosts


def test_one_host_whose_ports_take_eighteen_hours_is_cut_by_ports_and_counts_probes() -> None:
    scan = with_ports_split(a_scan("10.0.0.7", tool=Tool.NMAP, ports="1-65535", rate_pps=1), 1, 1)
    assert scan.splits_ports
    assert not scan.counts_hosts
    assert scan.planned_units == 65_535
    spans = list(plan(scan, 1))
    assert len(spans) > 100
    assert max(span.port_count for span in spans) <= SPLIT_CHUNK_SECONDS / 4


def test_full_names_its_ports_where_they_are_cut() -> None:
    scan = with_ports_split(a_scan("10.0.0.7", tool=Tool.NMAP, type_name="full", rate_pps=20), 4, 20)
    assert scan.splits_ports
    assert str(scan.ports) == "1-65535"


@pytest.mark.parametrize("type_name", ["default", "quick", "udp"])
def test_ports_that_nmap_picks_and_udp_ports_are_never_cut(type_name: str) -> None:
    scan = a_scan("10.0.0.7", tool=Tool.NMAP, type_name=type_name, rate_pps=1)
    assert with_ports_split(scan, 8, scan.rate_pps) == scan


def test_a_slow_runs_limit_is_several_times_its_plan_and_a_usual_ones_is_four_hours() -> None:
    slow = a_scan("10.0.0.0/24", tool=Tool.NMAP, ports="1-65535", rate_pps=1)
    assert nmap_limit_seconds(slow, 22, 65_535, 50) == pytest.approx(6 * 22 * 65_535 / 50)
    assert nmap_limit_seconds(a_scan(tool=Tool.NMAP), 60, 1000, 20_000) == 4 * 3600
    udp = a_scan(tool=Tool.NMAP, type_name="udp", ports="1-65535")
    assert nmap_limit_seconds(udp, 1, 65_535, 100_000) > 65_535 * 1.1
