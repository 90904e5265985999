"""Caps by prefix: whatever runs of a zone add up to one part of it, no prefix gets more than its cap."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.addresses import IPV6_BASE, AddressSet
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.errors import InvalidInput
from cloudx.domain.planning.chunk_plan import plan
from cloudx.domain.port_set import PortSet
from cloudx.domain.rates.prefix_caps import PrefixCaps, densest, mean_below, zone_free_pps
from cloudx.domain.scans import Scan
from cloudx.domain.targets import parse_targets
from cloudx.domain.tools import Tool

LENGTHS = st.sampled_from(["16", "28", "32", "112", "120"])
CAPS = st.builds(
    lambda usual, more: PrefixCaps.parse({"24": usual, **more}),
    st.integers(1, 5_000),
    st.dictionaries(LENGTHS, st.integers(1, 5_000)),
)


@st.composite
def address_sets(draw: st.DrawFn) -> AddressSet:
    """Some thousand addresses of one IP version, in pieces, across the edges of prefixes."""
    base = draw(st.sampled_from([0x0A00FF00, IPV6_BASE + (0x20010DB8 << 96)]))
    pieces = draw(st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 600)), min_size=1, max_size=6))
    return AddressSet.of((base + start, base + start + length) for start, length in pieces)


def scan_of(addresses: AddressSet, caps: PrefixCaps, tool: Tool = Tool.MASSCAN, ports: str = "1-20") -> Scan:
    return Scan(
        id="0193b3c4-7f00-7d1e-8a2b-3c4d5e6f7a8b", tool=tool,
        type_name="tcp_scan" if tool is Tool.MASSCAN else "default",
        target_text="", addresses=addresses, ports=PortSet.parse(ports), rate_pps=4_000, excluded_addresses=0,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), created_by="ada", rate_per_prefix=caps,
    )  # fmt: skip


def by_prefix(addresses: AddressSet, length: int) -> Counter[int]:
    """How many addresses lie in each prefix, one by one."""
    bits = (128 if addresses.ranges[0][0] >= IPV6_BASE else 32) - length
    keys = (key for first, last in addresses.ranges for key in range(first, last + 1))
    return Counter((key - (IPV6_BASE if key >= IPV6_BASE else 0)) >> bits for key in keys)


@given(address_sets(), st.sampled_from([16, 24, 28, 32]))
def test_the_densest_prefix_is_found_without_counting_addresses(addresses: AddressSet, length: int) -> None:
    assert densest(addresses, length) == max(by_prefix(addresses, length).values())


def test_prefixes_of_a_huge_set_are_counted_at_once() -> None:
    assert densest(parse_targets("::/3").addresses, 64) == 1 << 64
    assert densest(parse_targets("10.0.0.0/8").addresses, 24) == 256


@given(st.integers(1, 10**7))
def test_five_deviations_above_the_mean_are_the_cap(cap_pps: int) -> None:
    mean = mean_below(cap_pps)
    assert mean + 5 * math.sqrt(mean) == pytest.approx(cap_pps)


@settings(max_examples=60, deadline=None)
@given(address_sets(), CAPS, st.integers(1, 8), st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_runs_that_a_zone_has_room_for_send_no_prefix_more_than_its_cap(
    addresses: AddressSet, caps: PrefixCaps, workers: int, wishes: list[int]
) -> None:
    """Chunks are claimed as the ledger does it, each wishing for some rate; then every prefix is looked at."""
    scan = scan_of(addresses, caps)
    spans = list(plan(scan, expected_workers=workers))
    used: Counter[int] = Counter()
    applying = caps.of_version(addresses.ranges[0][0] >= IPV6_BASE)
    sent: dict[int, Counter[int]] = {length: Counter() for length, _ in applying}
    for wish in wishes:
        span = spans[wish % len(spans)]
        assert span.zone is not None and span.zone_limit_pps is not None
        rate = min(wish, zone_free_pps(span.zone_limit_pps, used[span.zone]))
        used[span.zone] += rate / span.zone_limit_pps  # type: ignore[assignment]
        covered = span.addresses_of(scan)
        for length, counted in sent.items():
            for prefix, many in by_prefix(covered, length).items():
                counted[prefix] += rate * many / covered.size  # type: ignore[assignment]
    for length, cap_pps in applying:
        assert max(sent[length].values()) <= cap_pps * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(address_sets(), CAPS, st.integers(1, 8), st.sampled_from([Tool.MASSCAN, Tool.NMAP]))
def test_a_capped_plan_covers_everything_once_and_zones_share_no_prefix(
    addresses: AddressSet, caps: PrefixCaps, workers: int, tool: Tool
) -> None:
    scan = scan_of(addresses, caps, tool)
    spans = list(plan(scan, expected_workers=workers))
    assert [span.number for span in spans] == list(range(len(spans)))
    seen: Counter[tuple[int, int]] = Counter()
    for span in spans:
        for port in range(span.port_start, span.port_start + span.port_count):
            for first, last in span.addresses_of(scan).ranges:
                seen.update((key, port) for key in range(first, last + 1))
    assert len(seen) == addresses.size * scan.units_per_address and set(seen.values()) == {1}
    shortest = caps.caps[0][0]
    zones: dict[int, set[int | None]] = {}
    for span in spans:
        for prefix in by_prefix(span.addresses_of(scan), shortest):
            zones.setdefault(prefix, set()).add(span.zone)
    assert all(len(of_prefix) == 1 for of_prefix in zones.values())


def test_a_single_prefix_is_one_zone_just_below_the_cap() -> None:
    spans = list(
        plan(scan_of(parse_targets("10.1.2.0/24").addresses, PrefixCaps.parse({"24": 200})), expected_workers=8)
    )
    assert {(span.zone, span.zone_limit_pps) for span in spans} == {(0, 175)}
    assert max(span.units for span in spans) <= 15 * 200 * 1.1


def test_many_prefixes_have_room_for_the_whole_rate() -> None:
    scan = replace(scan_of(parse_targets("10.1.0.0/16").addresses, PrefixCaps.parse({"24": 200})), rate_pps=16_000)
    limits = {span.zone: span.zone_limit_pps or 0 for span in plan(scan, expected_workers=8)}
    assert len(limits) >= 16 and sum(limits.values()) >= 2 * 16_000
    assert all(limit >= 2_000 * 0.9 for limit in list(limits.values())[:-1])


def test_nmap_may_send_all_of_its_rate_to_one_prefix() -> None:
    scan = scan_of(parse_targets("10.1.0.0/22").addresses, PrefixCaps.parse({"24": 200, "16": 500}), Tool.NMAP)
    assert {span.zone_limit_pps for span in plan(scan, expected_workers=4)} == {175}


def test_a_plan_of_a_large_network_keeps_its_bound_of_chunks() -> None:
    scan = scan_of(parse_targets("10.0.0.0/8").addresses, PrefixCaps.parse({"24": 50}))
    spans = list(plan(scan, expected_workers=2, max_chunks=500))
    assert len(spans) <= 500 and sum(span.units for span in spans) == scan.addresses.size * 20


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"0": 1}, {"129": 1}, {"24": 0}, {"24": -1}, {"24": 10**8}, {"24": True}, {"24": 1.5}, {"/24": 1}, {"": 1},
        {"٢٤": 1}, {"24": 1, "024": 2}, {str(length): 1 for length in range(1, 10)},
    ],
)  # fmt: skip
def test_caps_that_cannot_be_meant_are_refused_with_the_field(asked: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        PrefixCaps.parse(asked)
    assert refused.value.field == "rate_per_prefix"


def test_caps_come_back_as_they_were_asked() -> None:
    assert PrefixCaps.parse({"24": 200, "16": 2000}).as_asked() == {"16": 2000, "24": 200}
    assert not PrefixCaps.parse(None) and ChunkSpan(0, 0, 1).zone is None
