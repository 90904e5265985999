"""How scans are cut, and what becomes of chunks that fail."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.chunks import (
    CHUNK_SECONDS,
    CHUNK_TRANSITIONS,
    MAX_CHUNKS,
    MAX_FAILURES,
    MAX_NMAP_HOSTS,
    ChunkState,
    after_failure,
    claim_order,
    plan,
)
from cloudx.domain.errors import TooLarge
from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool
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
            assert span.units <= max(1, CHUNK_SECONDS * scan.rate_pps / workers)


@pytest.mark.parametrize(
    ("targets", "ports", "rate_pps"),
    [("10.0.0.0/8", "1-1000", 1000), ("10.0.0.0/8", "1-1000", 100_000), ("10.0.0.0/8", "1-656", 1000),
     ("10.0.0.0/8", "1-65535", 1), ("10.0.0.0/16", "1-65535", 1), ("0.0.0.0/0", "80", 1), ("10.0.0.1", "1-65535", 1),
     ("0.0.0.0/0", "1-255", 10_000)],
)  # fmt: skip
def test_a_large_plan_has_a_bounded_number_of_chunks_in_bounded_memory(targets: str, ports: str, rate_pps: int) -> None:
    scan = a_scan(targets, ports=ports, rate_pps=rate_pps)
    tracemalloc.start()
    count = units = 0
    for span in plan(scan):
        count, units = count + 1, units + span.units
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert units == scan.planned_units
    assert count <= 1.2 * MAX_CHUNKS
    assert peak_bytes < 1 << 20


def test_a_large_nmap_scan_has_a_bounded_number_of_chunks_too() -> None:
    assert sum(1 for _ in plan(a_scan("10.0.0.0/8", tool=Tool.NMAP, type_name="full"))) <= MAX_CHUNKS


def test_more_probes_than_can_ever_be_sent_are_refused_with_what_to_do() -> None:
    with pytest.raises(TooLarge, match="Ask for fewer addresses"):
        next(plan(a_scan("fd00::/64", tool=Tool.NMAP)))
    with pytest.raises(TooLarge, match="Name what to scan"):
        next(plan(a_scan(tool=Tool.NMAP, excluded_addresses=1 << 60)))


def test_nothing_to_probe_makes_no_chunk() -> None:
    assert list(plan(a_scan(addresses=AddressSet()))) == []


@given(st.integers(0, 500), st.integers())
def test_the_order_of_claims_is_a_shuffle_that_loses_nothing_and_repeats_with_its_seed(count: int, seed: int) -> None:
    assert sorted(claim_order(count, seed)) == list(range(count))
    assert claim_order(count, seed) == claim_order(count, seed)


def test_neighbouring_chunks_are_not_claimed_one_after_the_other() -> None:
    order = claim_order(1000, 1)
    neighbours = sum(abs(one - two) == 1 for one, two in pairwise(order))
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
    failures, failed_nodes = 0, ()
    for node in nodes:
        verdict = after_failure(failures, failed_nodes, node)
        failures, failed_nodes = verdict.failures, verdict.failed_nodes
    assert failures == len(nodes)
    assert set(failed_nodes) == set(nodes)
    assert all(one != two for one, two in combinations(failed_nodes, 2))
    assert verdict.state is (C.FAILED if len(nodes) == MAX_FAILURES else C.PENDING)
