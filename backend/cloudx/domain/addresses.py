"""Sets of IP addresses as sorted integer ranges: a /8 costs what a single address costs."""

from __future__ import annotations

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from socket import inet_aton

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IPv4 lies at 0 … 2³²-1 of one number line and IPv6 from 2³³ on; the gap keeps
# 255.255.255.255 and :: from ever counting as neighbours.
IPV6_BASE = 1 << 33
# ::ffff:0:0/96 (RFC 4291): a socket that connects to ::ffff:10.0.0.1 sends IPv4 to 10.0.0.1.
_MAPPED = 0xFFFF << 32
_MAPPED_END = _MAPPED + (1 << 32) - 1


def to_key(address: Address) -> int:
    """The address's place on the number line that IPv4 and IPv6 share; a mapped address is its IPv4 address."""
    if address.version == 4:
        return int(address)
    number = int(address)
    return number - _MAPPED if _MAPPED <= number <= _MAPPED_END else IPV6_BASE + number


def stored_key(text: str) -> int:
    """The place of an address as a database writes it; for IPv4 in a tenth of the time that parsing takes."""
    return to_key(ipaddress.ip_address(text)) if ":" in text else int.from_bytes(inet_aton(text), "big")


def key_ranges(first: Address, last: Address) -> list[tuple[int, int]]:
    """The keys from one address to another of its version.

    A range of mapped addresses is the range of IPv4 addresses. A wider IPv6 range leaves the mapped ones out: it
    means IPv6 machines.
    """
    low, high = int(first), int(last)
    if first.version == 4:
        return [(low, high)]
    if low >= _MAPPED and high <= _MAPPED_END:
        return [(low - _MAPPED, high - _MAPPED)]
    parts = [(low, min(high, _MAPPED - 1)), (max(low, _MAPPED_END + 1), high)]
    return [(IPV6_BASE + start, IPV6_BASE + end) for start, end in parts if start <= end]


def from_key(key: int) -> Address:
    """The address at a place on the number line."""
    if key < IPV6_BASE:
        return ipaddress.IPv4Address(key)
    return ipaddress.IPv6Address(key - IPV6_BASE)


def offset_in_texts(texts: Sequence[str], key: int) -> int | None:
    """What `AddressSet.of_texts(texts).index_of_key(key)` is, of the `texts` of a set, without parsing all of them.

    Of a set without the address, only as many are read as a search by halves takes.
    """
    at = bisect_right(texts, key, key=lambda text: _stored_range(text)[0]) - 1
    if at < 0:
        return None
    first, last = _stored_range(texts[at])
    if key > last:
        return None
    before = (_stored_range(text) for text in texts[:at])
    return sum(end - start + 1 for start, end in before) + key - first


def _stored_range(text: str) -> tuple[int, int]:
    """A line of AddressSet.texts as keys."""
    first, _, last = text.partition("-")
    key_of = _stored_ipv6_key if ":" in text else _ipv4_key
    return key_of(first), key_of(last or first)


def _ipv4_key(text: str) -> int:
    """A tenth of the time that ipaddress takes, for text that it has written."""
    return int.from_bytes(socket.inet_aton(text), "big")


def _stored_ipv6_key(text: str) -> int:
    return to_key(ipaddress.IPv6Address(text))


@dataclass(frozen=True)
class AddressSet:
    """An immutable set of addresses, held as sorted, disjoint, non-adjacent inclusive key ranges."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> AddressSet:
        """Normalise any inclusive key ranges: sort them and join those that touch."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    @classmethod
    def of_networks(cls, networks: Iterable[Network]) -> AddressSet:
        """The addresses of whole networks."""
        return cls.of(part for n in networks for part in key_ranges(n.network_address, n.broadcast_address))

    @classmethod
    def of_addresses(cls, addresses: Iterable[Address]) -> AddressSet:
        """The given addresses."""
        return cls.of((to_key(a), to_key(a)) for a in addresses)

    @cached_property
    def _starts(self) -> list[int]:
        return [first for first, _ in self.ranges]

    @cached_property
    def _offsets(self) -> list[int]:
        """How many addresses lie before each range, and at the end the total."""
        return [0, *accumulate(last - first + 1 for first, last in self.ranges)]

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return self._offsets[-1]

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, address: Address) -> bool:
        return self.index_of_key(to_key(address)) is not None

    def index_of_key(self, key: int) -> int | None:
        """How many addresses of the set come before `key`, or None when it is not in the set."""
        at = bisect_right(self._starts, key) - 1
        if at < 0 or key > self.ranges[at][1]:
            return None
        return self._offsets[at] + key - self.ranges[at][0]

    def count_below(self, key: int) -> int:
        """How many addresses of the set come before `key`, which need not be in the set."""
        at = bisect_right(self._starts, key) - 1
        if at < 0:
            return 0
        first, last = self.ranges[at]
        return self._offsets[at] + min(key, last + 1) - first

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet.of(self.ranges + other.ranges)

    def __and__(self, other: AddressSet) -> AddressSet:
        return self - (self - other)

    def __sub__(self, other: AddressSet) -> AddressSet:
        kept: list[tuple[int, int]] = []
        holes = other.ranges
        # A chunk is small and a policy may be long: start at the first hole that can matter.
        at = max(bisect_right(other._starts, self.ranges[0][0]) - 1, 0) if self.ranges else 0
        for first, last in self.ranges:
            while at < len(holes) and holes[at][1] < first:
                at += 1
            hole = at
            while hole < len(holes) and holes[hole][0] <= last:
                if holes[hole][0] > first:
                    kept.append((first, holes[hole][0] - 1))
                first = max(first, holes[hole][1] + 1)
                hole += 1
            if first <= last:
                kept.append((first, last))
        return AddressSet(tuple(kept))

    def slice(self, start: int, count: int) -> AddressSet:
        """`count` addresses from the `start`-th on, in ascending order."""
        taken: list[tuple[int, int]] = []
        at = max(bisect_right(self._offsets, start) - 1, 0)
        while count > 0 and at < len(self.ranges):
            first, last = self.ranges[at]
            first += start - self._offsets[at]
            last = min(last, first + count - 1)
            taken.append((first, last))
            count -= last - first + 1
            start = self._offsets[at + 1]
            at += 1
        return AddressSet(tuple(taken))

    @cached_property
    def ipv4_size(self) -> int:
        """How many of the addresses are IPv4; they come first."""
        return sum(last - first + 1 for first, last in self.ranges if first < IPV6_BASE)

    def __iter__(self) -> Iterator[Address]:
        """Every single address: only for sets known to be small."""
        for first, last in self.ranges:
            yield from map(from_key, range(first, last + 1))

    def texts(self) -> list[str]:
        """One `first-last` (or single address) per range, as scanners and people read it."""
        return [
            str(from_key(first)) if first == last else f"{from_key(first)}-{from_key(last)}"
            for first, last in self.ranges
        ]

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> AddressSet:
        """The inverse of `texts`; for stored sets, not for what people type."""
        ranges: list[tuple[int, int]] = []
        for text in texts:
            first, _, last = text.partition("-")
            ranges += key_ranges(ipaddress.ip_address(first), ipaddress.ip_address(last or first))
        return cls.of(ranges)

    def networks(self) -> list[Network]:
        """The fewest CIDR blocks that cover exactly this set."""
        blocks: list[Network] = []
        for first, last in self.ranges:
            # The ends of one range always have the same version.
            blocks.extend(ipaddress.summarize_address_range(from_key(first), from_key(last)))
        return blocks
