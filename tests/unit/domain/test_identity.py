"""One machine has one identity: no spelling of an excluded address passes, and none needs less than its scope."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet
from cloudx.domain.identity import excluded_part, unauthorised_part
from cloudx.domain.targets import parse_targets

EVERYTHING = parse_targets("::/0 0.0.0.0/0").addresses
IPV4 = st.integers(2, (1 << 32) - 1).map(ipaddress.IPv4Address)
BITS_32 = st.integers(0, (1 << 32) - 1)


def v6(number: int) -> str:
    return str(ipaddress.IPv6Address(number))


@st.composite
def spellings(draw: st.DrawFn, address: ipaddress.IPv4Address) -> str:
    """One way of writing a target that reaches this machine."""
    number = int(address)
    mapped, nat64, teredo = v6((0xFFFF << 32) + number), (0x64FF9B << 96) + number, 0x20010000 << 96
    ways = [
        str(address),
        f"{address}/32",
        f"{address}-{address}",
        mapped,
        mapped.upper(),
        f"::ffff:{address}",
        f"0:0:0:0:0:FFFF:{address}",
        f"{mapped}/128",
        f"{mapped}-{mapped}",
        f"::{address}",
        v6(nat64),
        f"64:ff9b::{address}",
        f"{v6(nat64)}/128",
        v6((0x64FF9B0001 << 80) + (draw(BITS_32) << 32) + number),
        v6((0x2002 << 112) + (number << 80) + draw(BITS_32)),
        v6(teredo + (draw(BITS_32) << 64) + (draw(BITS_32) << 32) + (number ^ 0xFFFFFFFF)),
    ]
    return draw(st.sampled_from(ways))


@given(st.data(), IPV4)
def test_no_spelling_of_an_excluded_address_passes(data: st.DataObject, address: ipaddress.IPv4Address) -> None:
    written = data.draw(spellings(address))
    targets, excluded = parse_targets(written).addresses, AddressSet.of_addresses([address])
    assert targets.size == 1
    assert excluded_part(targets, excluded) == targets, written


@given(st.data(), IPV4)
def test_every_spelling_needs_a_scope_for_the_machine(data: st.DataObject, address: ipaddress.IPv4Address) -> None:
    targets = parse_targets(data.draw(spellings(address))).addresses
    ipv6_alone = parse_targets("::/0").addresses
    assert unauthorised_part(targets, ipv6_alone) == targets
    assert not unauthorised_part(targets, AddressSet.of_addresses([address]))
    assert not unauthorised_part(targets, EVERYTHING)


@given(st.data(), IPV4, IPV4)
def test_another_machines_exclusion_takes_nothing(
    data: st.DataObject, address: ipaddress.IPv4Address, other: ipaddress.IPv4Address
) -> None:
    targets = parse_targets(data.draw(spellings(address))).addresses
    is_same = address == other
    assert bool(excluded_part(targets, AddressSet.of_addresses([other]))) == is_same


@pytest.mark.parametrize(
    ("targets", "excluded", "left"),
    [
        ("::ffff:10.77.0.4-::ffff:10.77.0.7", "10.77.0.5", "10.77.0.4 10.77.0.6-7"),
        ("64:ff9b::10.77.0.0/120", "10.77.0.0/25", "64:ff9b::10.77.0.128/121"),
        ("2002:a4d:5::/48", "10.77.0.5", ""),
        ("2002:a4d:5::/48", "10.77.0.6", "2002:a4d:5::/48"),
        ("2001:0:1:2:3:4:f5b2:fff8/125", "10.77.0.0-6", "2001:0:1:2:3:4:f5b2:fff8"),
        ("0.0.0.0", "127.0.0.0/8", ""),
        ("::", "::1", ""),
        ("fd77::5 10.77.0.5", "10.77.0.5", "fd77::5"),
    ],
)  # fmt: skip
def test_a_range_loses_what_stands_for_the_excluded_and_keeps_the_rest(targets: str, excluded: str, left: str) -> None:
    parsed = parse_targets(targets).addresses
    kept = parsed - excluded_part(parsed, parse_targets(excluded).addresses)
    assert kept == parse_targets(left).addresses


def test_a_wide_range_of_a_carrier_counts_as_carrying_every_address() -> None:
    teredo = parse_targets("2001::/32").addresses
    assert excluded_part(teredo, parse_targets("10.77.0.5").addresses) == teredo


def test_a_scope_within_a_carriers_prefix_allows_just_what_it_names() -> None:
    parsed = parse_targets("64:ff9b::c0a8:1 64:ff9b::c0a8:2").addresses
    assert unauthorised_part(parsed, parse_targets("64:ff9b::c0a8:1").addresses).texts() == ["64:ff9b::c0a8:2"]


def test_a_scope_of_all_ipv6_allows_no_ipv4_machine() -> None:
    assert unauthorised_part(parse_targets("::ffff:10.77.0.5").addresses, parse_targets("::/0").addresses)
