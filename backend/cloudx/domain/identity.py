"""One machine has one identity: IPv6 addresses that stand for an IPv4 machine are judged as that machine.

Mapped addresses (::ffff:0:0/96, RFC 4291) fold to IPv4 when they are read (addresses.key_ranges). NAT64 (RFC 6052,
RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380) and IPv4-compatible addresses (RFC 4291) are probed as they are written,
and judged by the address that they carry. 0.0.0.0 and :: reach the machine itself, as 127.0.0.1 and ::1 do (ip(7)).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .addresses import IPV6_BASE, AddressSet, to_key

_ALL_IPV4 = (0, (1 << 32) - 1)
_LOW_32 = (1 << 32) - 1
_MAX_PIECES = 1024  # a carrier's range over more /96 networks than this counts as carrying every IPv4 address


@dataclass(frozen=True)
class _Carried:
    """A range of keys that stands for a range of others; reversed where the carrier inverts the bits (Teredo)."""

    own: tuple[int, int]
    carried: tuple[int, int]
    is_reversed: bool = False

    def standing_for(self, judged: AddressSet) -> Iterator[tuple[int, int]]:
        """The part of its own range that stands for addresses of the set."""
        for first, last in (AddressSet((self.carried,)) & judged).ranges:
            if self.own[1] - self.own[0] != self.carried[1] - self.carried[0]:
                yield self.own  # many addresses stand for one, or the whole range for all
            elif self.is_reversed:
                yield self.own[0] + self.carried[1] - last, self.own[0] + self.carried[1] - first
            else:
                yield self.own[0] + first - self.carried[0], self.own[0] + last - self.carried[0]


def excluded_part(targets: AddressSet, excluded: AddressSet) -> AddressSet:
    """The targets that an exclusion names, by their own address or by the machine they stand for."""
    own = targets & excluded
    standing = [part for piece in _carriers(targets) for part in piece.standing_for(excluded)]
    return own | (AddressSet.of(standing) & targets) if standing else own


def unauthorised_part(targets: AddressSet, allowed: AddressSet) -> AddressSet:
    """The targets that no scope allows. A carrier needs a scope for the machine, or one that lies within its prefix."""
    outside = targets - allowed
    carriers = list(_carriers(targets))
    if not carriers:
        return outside
    carrying = AddressSet.of(piece.own for piece in carriers)
    by_machine = AddressSet.of(part for piece in carriers for part in piece.standing_for(allowed))
    named = AddressSet.of(found for found in allowed.ranges if any(_within(found, prefix) for prefix, _ in _PREFIXES))
    return (outside - carrying) | (carrying - by_machine - named)


def _carriers(targets: AddressSet) -> Iterator[_Carried]:
    if not targets.ranges or (targets.ranges[0][0] > 0 and targets.ranges[-1][1] < IPV6_BASE):
        return  # plain IPv4, as nearly always
    for prefix, pieces_of in _PREFIXES:
        for first, last in (AddressSet((prefix,)) & targets).ranges:
            yield from pieces_of(first, last)


def _low_32_bits(first: int, last: int, is_reversed: bool = False) -> Iterator[_Carried]:
    """Those that carry an address in their last 32 bits: one piece for each /96 network."""
    network, end = (first - IPV6_BASE) >> 32, (last - IPV6_BASE) >> 32
    if end - network >= _MAX_PIECES:
        yield _Carried((first, last), _ALL_IPV4)
        return
    for number in range(network, end + 1):
        start = IPV6_BASE + (number << 32)
        own = max(first, start), min(last, start + _LOW_32)
        low, high = own[0] - start, own[1] - start
        yield _Carried(own, (_LOW_32 - high, _LOW_32 - low) if is_reversed else (low, high), is_reversed)


def _teredo(first: int, last: int) -> Iterator[_Carried]:
    return _low_32_bits(first, last, is_reversed=True)


def _6to4(first: int, last: int) -> Iterator[_Carried]:
    """Bits 16 to 47 are the site's router: one piece for each of them, up to the bound."""
    low, high = ((key - IPV6_BASE >> 80) & _LOW_32 for key in (first, last))
    if high - low >= _MAX_PIECES:
        yield _Carried((first, last), (low, high))
        return
    base = to_key(ipaddress.IPv6Address("2002::"))
    for router in range(low, high + 1):
        start = base + (router << 80)
        yield _Carried((max(first, start), min(last, start + (1 << 80) - 1)), (router, router))


def _itself(loopback: str) -> Callable[[int, int], Iterator[_Carried]]:
    key = to_key(ipaddress.ip_address(loopback))

    def pieces(first: int, last: int) -> Iterator[_Carried]:
        yield _Carried((first, last), (key, key))

    return pieces


def _range_of(network: str) -> tuple[int, int]:
    found = ipaddress.ip_network(network)
    return to_key(found.network_address), to_key(found.broadcast_address)


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


_PREFIXES: tuple[tuple[tuple[int, int], Callable[[int, int], Iterator[_Carried]]], ...] = (
    (_range_of("0.0.0.0/32"), _itself("127.0.0.1")),
    (_range_of("::/128"), _itself("::1")),
    ((to_key(ipaddress.IPv6Address("::2")), to_key(ipaddress.IPv6Address("::ffff:ffff"))), _low_32_bits),
    (_range_of("64:ff9b::/96"), _low_32_bits),
    (_range_of("64:ff9b:1::/48"), _low_32_bits),
    (_range_of("2001::/32"), _teredo),
    (_range_of("2002::/16"), _6to4),
)
