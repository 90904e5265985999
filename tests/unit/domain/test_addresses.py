"""The target algebra, against Python's own sets."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.addresses import AddressSet, from_key, offset_in_texts, to_key

# Few different keys, so that ranges touch and overlap; on both sides of the border between IPv4 and IPv6.
_LAST_IPV4 = to_key(ipaddress.ip_address("255.255.255.255"))
_FIRST_IPV6 = to_key(ipaddress.ip_address("::"))
KEYS = st.sampled_from([*range(40), *range(_LAST_IPV4 - 5, _LAST_IPV4 + 1), *range(_FIRST_IPV6, _FIRST_IPV6 + 20)])
EDGES = st.sampled_from([0, 1, _LAST_IPV4, _FIRST_IPV6, to_key(ipaddress.ip_address("ffff" + ":ffff" * 7))])
SETS = st.frozensets(KEYS | EDGES, max_size=40)


def of_keys(keys: frozenset[int]) -> AddressSet:
    return AddressSet.of((key, key) for key in keys)


def keys_of(addresses: AddressSet) -> frozenset[int]:
    return frozenset(map(to_key, addresses))


def is_normal(addresses: AddressSet) -> bool:
    pairs = zip(addresses.ranges, addresses.ranges[1:], strict=False)
    return all(a <= b for a, b in addresses.ranges) and all(left[1] + 1 < right[0] for left, right in pairs)


@given(SETS, SETS)
def test_union_difference_and_intersection_are_those_of_sets(a: frozenset[int], b: frozenset[int]) -> None:
    left, right = of_keys(a), of_keys(b)
    for got, wanted in ((left | right, a | b), (left - right, a - b), (left & right, a & b)):
        assert keys_of(got) == wanted
        assert got.size == len(wanted)
        assert bool(got) == bool(wanted)
        assert is_normal(got)


@given(SETS, SETS)
def test_what_is_left_and_what_was_excluded_make_up_what_was_asked(a: frozenset[int], b: frozenset[int]) -> None:
    submitted, excluded = of_keys(a), of_keys(b)
    planned = submitted - excluded
    assert planned | (submitted & excluded) == submitted
    assert not planned & excluded
    assert planned.size + (submitted.size - planned.size) == submitted.size


@given(st.lists(st.tuples(KEYS, st.integers(0, 5)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=20))
def test_any_ranges_are_sorted_joined_and_lose_nothing(ranges: list[tuple[int, int]]) -> None:
    ranges = [(first, min(last, _LAST_IPV4) if first <= _LAST_IPV4 else last) for first, last in ranges]
    made = AddressSet.of(ranges)
    assert is_normal(made)
    assert keys_of(made) == {key for first, last in ranges for key in range(first, last + 1)}
    assert made == AddressSet.of(made.ranges)


@given(SETS)
def test_every_address_is_found_at_its_index_and_no_other_is(keys: frozenset[int]) -> None:
    made = of_keys(keys)
    for index, key in enumerate(sorted(keys)):
        assert made.index_of_key(key) == index
        assert keys_of(made.slice(index, 1)) == {key}
        assert from_key(key) in made
    for key in {key + step for key in keys for step in (-1, 1)} - keys:
        assert made.index_of_key(key) is None


@given(SETS, st.integers(1, 12))
def test_slices_cover_a_set_exactly_and_in_order(keys: frozenset[int], count: int) -> None:
    made = of_keys(keys)
    slices = [made.slice(start, count) for start in range(0, made.size, count)]
    assert [key for part in slices for key in map(to_key, part)] == sorted(keys)
    assert all(is_normal(part) and part.size == count for part in slices[:-1])


@given(SETS)
def test_texts_and_networks_say_the_same_set(keys: frozenset[int]) -> None:
    made = of_keys(keys)
    assert AddressSet.of_texts(made.texts()) == made
    assert AddressSet.of_networks(made.networks()) == made
    assert AddressSet.of_addresses(made) == made
    assert made.ipv4_size == sum(key <= _LAST_IPV4 for key in keys)


def test_the_last_ipv4_and_the_first_ipv6_address_are_no_neighbours() -> None:
    made = AddressSet.of_addresses([ipaddress.ip_address("255.255.255.255"), ipaddress.ip_address("::")])
    assert len(made.ranges) == 2
    assert made.texts() == ["255.255.255.255", "::"]


def test_the_whole_of_ipv4_costs_one_range() -> None:
    everything = AddressSet.of_networks([ipaddress.ip_network("0.0.0.0/0")])
    assert everything.ranges == ((0, _LAST_IPV4),)
    assert (everything - AddressSet.of([(5, 5)])).ranges == ((0, 4), (6, _LAST_IPV4))
    assert everything.slice(2**31, 1).texts() == ["128.0.0.0"]


@given(SETS, KEYS | EDGES)
def test_the_place_of_an_address_in_a_stored_text_is_its_place_in_the_set(keys: frozenset[int], key: int) -> None:
    addresses = of_keys(keys)
    assert offset_in_texts(addresses.texts(), key) == addresses.index_of_key(key)
    for offset, one in enumerate(sorted(keys)):
        assert offset_in_texts(addresses.texts(), one) == offset
