"""How scans are cut, and what becomes of chunks that fail."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import combinations, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.chunks import CHUNK_TRANSITIONS, MAX_FAILURES, ChunkSpan, ChunkState, after_failure
from cloudx.domain.errors import TooLarge
from cloudx.domain.planning.chunk_plan import (
    CHUNK_SECONDS,
    LAST_CHUNK_SECONDS,
    MAX_CHUNKS,
    MAX_NMAP_HOSTS,
    MIN_HOSTS_ABREAST,
    NMAP_CHUNK_SECONDS,
    claim_order,
    divided,
    plan,
)
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.domain.tools import NMAP_RUNS_PER_NODE, UNBOUNDED_PPS, Tool, scan_type_named
from unit.domain.scan_builder import a_scan

ADDRESSES = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 300)), min_size=1, max_size=6).map(
    lambda pairs: AddressSet.of((first, first + more) for first, more in pairs)
)
BOTH_VERSIONS = st.tuples(ADDRESSES, ADDRESSES).map(
    lambda pair: pair[0] | AddressSet.of((a + (1 << 33), b + (1 << 33)) for a, b in pair[1].ranges)
)
PORTS = st.lists(st.tuples(st.integers(1, 2000), st.integers(0, 90)), min_size=1, max_size=4).map(
    lambda pairs: PortSet.of([(first, first + more) for first, more in pairs])
)
RATES = st.integers(1, 3000)


@st.composite
def scans(draw: st.DrawFn) -> Scan:
    tool = draw(st.sampled_from(Tool))
    if tool is Tool.NMAP:
        return a_scan(tool=tool, addresses=draw(BOTH_VERSIONS), ports=None, rate_pps=draw(RATES))
    if tool is Tool.ZMAP:
        return a_scan(tool=tool, addresses=draw(ADDRESSES), ports="443", rate_pps=draw(RATES))
    scan = a_scan(addresses=draw(ADDRESSES), rate_pps=draw(RATES))
    return Scan(**{**vars(scan), "ports": draw(PORTS)})


@settings(max_examples=60, deadline=None)
@given(scans(), st.integers(1, 20))
def test_chunks_are_disjoint_and_cover_every_probe_exactly_once(scan: Scan, workers: int) -> None:
    seen: set[tuple[int, int]] = set()
    spans = list(plan(scan, workers))
    for span in spans:
        addresses, ports = span.addresses_of(scan), span.ports_of(scan)
        assert addresses.size == span.address_count
        wanted_ports = range(span.port_start, span.port_start + span.port_count)
        if ports is not None and not scan.type.counts_hosts:
            assert [ports.index_of(p) for a, b in ports.ranges for p in range(a, b + 1)] == [*range(ports.size)]
            assert ports.size == span.port_count
        probes = {(to_key(address), port) for address in addresses for port in wanted_ports}
        assert len(probes) == span.units
        assert not seen & probes
        seen |= probes
    assert len(seen) == scan.addresses.size * scan.units_per_address == sum(span.units for span in spans)
    assert [span.number for span in spans] == list(range(len(spans)))


@settings(max_examples=60, deadline=None)
@given(scans(), st.integers(1, 20))
def test_no_chunk_crosses_from_ipv4_into_ipv6(scan: Scan, workers: int) -> None:
    for span in plan(scan, workers):
        assert len({address.version for address in span.addresses_of(scan)}) == 1


@settings(max_examples=60, deadline=None)
@given(scans(), st.integers(1, 20))
def test_a_chunk_is_about_fifteen_seconds_of_sending_or_a_few_hosts(scan: Scan, workers: int) -> None:
    for span in plan(scan, workers):
        if scan.type.counts_hosts:
            assert span.units <= MAX_NMAP_HOSTS
        else:
            row = max(1, min(span.port_count, scan.units_per_address))  # heights are rounded up to whole rows
            assert span.units <= max(1, CHUNK_SECONDS * scan.rate_pps / workers) + row


@pytest.mark.parametrize(
    ("targets", "ports", "rate_pps", "workers"),
    [("10.0.0.0/8", "1-1000", 1000, 1), ("10.0.0.0/8", "1-1000", 100_000, 8), ("10.0.0.0/8", "1-656", 1000, 1000),
     ("10.0.0.0/8", "1-65535", 1, 1000), ("10.0.0.0/16", "1-65535", 1, 8), ("0.0.0.0/0", "80", 1, 1),
     ("10.0.0.1", "1-65535", 1, 1000), ("0.0.0.0/0", "1-255", 10_000, 1)],
)  # fmt: skip
def test_a_large_plan_has_a_bounded_number_of_chunks(targets: str, ports: str, rate_pps: int, workers: int) -> None:
    scan = a_scan(targets, ports=ports, rate_pps=rate_pps)
    count = units = 0
    for span in plan(scan, workers):
        count, units = count + 1, units + span.units
    assert units == scan.planned_units
    assert count <= 1.1 * MAX_CHUNKS


def test_a_plan_of_many_times_the_chunks_takes_no_more_memory() -> None:
    few, many = (_traced(a_scan("10.0.0.0/12", ports="1-9", rate_pps=rate_pps)) for rate_pps in (80_000, 4_000))
    assert many.chunks >= 10 * few.chunks
    assert many.peak_bytes <= 1.5 * few.peak_bytes


class _Traced(NamedTuple):
    chunks: int
    peak_bytes: int


def _traced(scan: Scan) -> _Traced:
    """How many chunks a plan has, and what it holds at most; bench/plan_scan.py prints that of the largest plans."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in plan(scan, 8))
        return _Traced(count, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_a_large_nmap_scan_has_a_bounded_number_of_chunks_too() -> None:
    assert sum(1 for _ in plan(a_scan("10.0.0.0/8", tool=Tool.NMAP, type_name="full"))) <= MAX_CHUNKS


def test_more_probes_than_can_ever_be_sent_are_refused_with_what_to_do() -> None:
    with pytest.raises(TooLarge, match="Ask for fewer addresses"):
        next(plan(a_scan("fd00::/64", tool=Tool.NMAP)))
    with pytest.raises(TooLarge, match="Name what to scan"):
        next(plan(a_scan(tool=Tool.NMAP, excluded_addresses=1 << 60)))


def test_nothing_to_probe_makes_no_chunk() -> None:
    assert list(plan(a_scan(addresses=AddressSet()))) == []


def seconds_of(scan: Scan, workers: int) -> list[float]:
    """How long each chunk takes at a worker's share of the rate, in the order of claims."""
    spans = list(plan(scan, workers))
    places = claim_order([span.units for span in spans], seed=1)
    in_order = sorted(zip(places, spans, strict=True), key=lambda pair: pair[0])
    return [span.units * workers / scan.rate_pps for _, span in in_order]


def test_the_last_waves_are_a_half_a_quarter_and_an_eighth_of_fifteen_seconds_one_chunk_a_worker_each() -> None:
    seconds = seconds_of(a_scan("10.0.0.0/12", rate_pps=8000), workers=8)  # 131 s
    waves = Counter(round(length, 1) for length in seconds)
    eighths = {size: round(size * 8 / max(waves)) for size in waves}
    assert Counter(eighths[round(length, 1)] for length in seconds) == {8: 64, 4: 8, 2: 8, 1: 16}
    assert max(waves) == pytest.approx(CHUNK_SECONDS, rel=0.05)
    assert all(later <= 1.01 * sooner for sooner, later in pairwise(seconds))
    assert seconds[-1] == pytest.approx(LAST_CHUNK_SECONDS, rel=0.05)


@pytest.mark.parametrize("rate_pps", [16_000, 8_000, 2_000])
def test_a_scan_of_eight_seconds_or_more_gives_each_of_eight_workers_several_equal_shares(rate_pps: int) -> None:
    seconds = seconds_of(a_scan("10.0.0.0/16", ports="80,443", rate_pps=rate_pps), workers=8)
    assert len(seconds) >= 3 * 8
    free_at = [0.0] * 8
    for length in seconds:
        free_at[free_at.index(min(free_at))] += length
    assert max(free_at) <= 1.02 * sum(seconds) / 8


def test_a_scan_too_short_to_share_is_not_torn_into_chunks_shorter_than_a_scanners_start() -> None:
    assert len(list(plan(a_scan("10.0.0.0/24"), 8))) == 2  # a quarter of a second each for eight
    assert len(list(plan(a_scan("10.0.0.7"), 1000))) == 1


def test_one_worker_alone_gets_no_short_chunks() -> None:
    assert min(seconds_of(a_scan("10.0.0.0/16"), workers=1)) > 0.8 * CHUNK_SECONDS


def test_hosts_for_nmap_are_shared_likewise_four_runs_a_node() -> None:
    counts = [span.units for span in plan(a_scan("10.0.0.0/16", tool=Tool.NMAP, rate_pps=UNBOUNDED_PPS), 8)]
    largest = max(counts)
    assert NMAP_CHUNK_SECONDS * 0.97 <= largest * scan_type_named("nmap", None).host_seconds <= NMAP_CHUNK_SECONDS
    assert sum(count <= largest // 4 + 1 for count in counts) == 2 * 32
    assert sum(largest // 4 + 1 < count <= largest // 2 + 1 for count in counts) == 32
    small = [span.units for span in plan(a_scan("10.0.0.0/24", tool=Tool.NMAP, rate_pps=UNBOUNDED_PPS), 8)]
    assert small == [16] * 2 * 8


def test_hosts_that_the_nodes_limits_hold_back_are_a_run_for_each_of_the_runs_that_they_have() -> None:
    scan = a_scan("10.0.0.0/24", tool=Tool.NMAP, rate_pps=15_000)  # what eight nodes of 2,000 packets/s send
    assert [span.units for span in plan(scan, 8)] == [8] * 8 * NMAP_RUNS_PER_NODE
    few = a_scan("10.0.0.1-10.0.0.9", tool=Tool.NMAP, rate_pps=150)
    assert [span.units for span in plan(few, 8)] == [1] * 9


def test_a_slash_24_is_one_round_of_a_lone_nodes_runs() -> None:
    scan = a_scan("10.0.0.0/24", tool=Tool.NMAP, rate_pps=UNBOUNDED_PPS)
    assert [span.units for span in plan(scan, 1)] == [64] * NMAP_RUNS_PER_NODE


def test_a_few_hosts_with_many_ports_are_a_run_each_on_a_lone_node() -> None:
    scan = a_scan("10.0.0.1-10.0.0.3", tool=Tool.NMAP, ports="1-30000", rate_pps=UNBOUNDED_PPS)
    assert [span.units for span in plan(scan, 1)] == [1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(scans(), st.integers(2, 40))
def test_short_chunks_are_claimed_last(scan: Scan, workers: int) -> None:
    units = [span.units for span in plan(scan, workers)]
    places = claim_order(units, seed=3)
    in_order = [size for _, size in sorted(zip(places, units, strict=True))]
    assert all(later <= 1.5 * sooner for sooner, later in pairwise(in_order))


def test_the_last_wave_is_spread_over_the_whole_scan() -> None:
    spans = list(plan(a_scan("10.0.0.0/12", rate_pps=8000), 8))
    shortest = min(span.units for span in spans)
    last = [span for span in spans if span.units <= 1.1 * shortest]
    assert len({span.address_start // 65536 for span in last}) >= 4


@given(
    st.builds(
        ChunkSpan, st.just(7), st.integers(0, 99), st.integers(1, 900), st.integers(0, 9), st.integers(1, 30)
    ),
    st.integers(1, 40),
)  # fmt: skip
def test_the_parts_of_a_divided_chunk_are_disjoint_make_it_up_and_are_about_equal(span: ChunkSpan, parts: int) -> None:
    cut = divided(span, parts)
    assert 1 <= len(cut) <= parts
    assert len(cut) > 1 or parts == 1 or span.units == 1
    seen: Counter[tuple[int, int]] = Counter()
    for part in cut:
        hosts = range(part.address_start, part.address_start + part.address_count)
        ports = range(part.port_start, part.port_start + part.port_count)
        seen.update((host, port) for host in hosts for port in ports)
    assert set(seen.values()) == {1}
    assert len(seen) == span.units
    inside = range(span.address_start, span.address_start + span.address_count)
    assert all(host in inside and span.port_start <= port < span.port_start + span.port_count for host, port in seen)


def test_a_chunk_is_divided_by_ports_while_few_hosts_stand_abreast_and_by_hosts_otherwise() -> None:
    narrow, wide = ChunkSpan(0, 0, MIN_HOSTS_ABREAST, 0, 8), ChunkSpan(0, 0, 8 * MIN_HOSTS_ABREAST, 0, 8)
    assert {part.address_count for part in divided(narrow, 8)} == {MIN_HOSTS_ABREAST}
    assert {part.address_count for part in divided(wide, 8)} == {MIN_HOSTS_ABREAST}


def test_one_address_times_one_port_cannot_be_divided() -> None:
    assert divided(ChunkSpan(3, 9, 1, 4, 1), 8) == [ChunkSpan(3, 9, 1, 4, 1)]


@given(st.lists(st.integers(1, 1000), max_size=500), st.integers())
def test_the_order_of_claims_is_a_shuffle_that_loses_nothing_and_repeats_with_its_seed(
    units: list[int], seed: int
) -> None:
    assert sorted(claim_order(units, seed)) == list(range(len(units)))
    assert claim_order(units, seed) == claim_order(units, seed)


def test_neighbouring_chunks_are_not_claimed_one_after_the_other() -> None:
    order = claim_order([100] * 1000, 1)
    neighbours = sum(abs(left - right) == 1 for left, right in pairwise(order))
    assert neighbours < 20


C = ChunkState
LEGAL = {
    (C.PENDING, C.LEASED), (C.PENDING, C.CANCELLED),
    (C.LEASED, C.DONE), (C.LEASED, C.PENDING), (C.LEASED, C.FAILED), (C.LEASED, C.CANCELLED),
}  # fmt: skip


def test_the_table_of_chunk_states_is_exactly_this_one() -> None:
    assert set(CHUNK_TRANSITIONS) == set(C)
    assert {(old, new) for old, news in CHUNK_TRANSITIONS.items() for new in news} == LEGAL


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=MAX_FAILURES))
def test_the_third_failure_is_the_last_and_every_node_is_remembered_once(nodes: list[str]) -> None:
    failures = 0
    failed_nodes: tuple[str, ...] = ()
    for node in nodes:
        verdict = after_failure(failures, failed_nodes, node)
        failures, failed_nodes = verdict.failures, verdict.failed_nodes
    assert failures == len(nodes)
    assert set(failed_nodes) == set(nodes)
    assert all(left != right for left, right in combinations(failed_nodes, 2))
    assert verdict.state is (C.FAILED if len(nodes) == MAX_FAILURES else C.PENDING)


def test_no_chunk_is_planned_for_longer_than_the_setting_says() -> None:
    scan = a_scan(addresses=AddressSet.of_texts(["10.77.0.0-10.77.15.255"]), ports="1-8", rate_pps=1_300)
    usual, short = list(plan(scan, 4)), list(plan(scan, 4, chunk_seconds=0.5))
    assert len(short) >= 200 > len(usual)
    assert max(span.units for span in short) <= 0.5 * scan.rate_pps / 4
    assert sum(span.units for span in short) == scan.planned_units
