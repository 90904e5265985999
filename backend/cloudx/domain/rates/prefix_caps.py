"""Caps on what a scan sends to any one prefix (docs/adr/0045): how fast a run may go, so that no prefix gets more.

A run's share of a prefix is the part of its probes that go there. masscan and zmap send in random order, so a run at
`r` packets a second sends about `r` × share to each prefix; nmap goes host by host: all it sends may go to one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cloudx.domain.addresses import IPV6_BASE, AddressSet
from cloudx.domain.errors import InvalidInput

FIELD = "rate_per_prefix"
MAX_CAPS = 8
MAX_CAP_PPS = 10_000_000
SPREAD_DEVIATIONS = 5.0  # in random order a second's packets to a prefix vary as a Poisson count does
FULL_PART = 0.5  # a zone of which more is in use gives no chunk: it would creep
_ROUNDING = 1e-6  # what sums of parts may lack
# masscan makes up for what it lost while it got no processor: a second had 1.11 times its rate at a load of ten a core.
STEADY_SHARE = 7 / 8
_EXAMPLE = 'such as {"24": 200}: at most 200 packets per second to any /24'


@dataclass(frozen=True)
class PrefixCaps:
    """Packets per second to any prefix, by its length. Of IPv6 every length counts, of IPv4 those up to 32."""

    caps: tuple[tuple[int, int], ...] = ()  # (length, packets per second), by length

    @classmethod
    def parse(cls, asked: Mapping[str, object] | None) -> PrefixCaps:
        """What a request asks for. Raises InvalidInput."""
        if asked is None:
            return cls()
        if not asked or len(asked) > MAX_CAPS:
            raise InvalidInput(FIELD, f"{FIELD} takes one to {MAX_CAPS} prefix lengths, {_EXAMPLE}.")
        caps = sorted((_length_of(length), _cap_of(length, cap_pps)) for length, cap_pps in asked.items())
        if len({length for length, _ in caps}) < len(caps):
            raise InvalidInput(FIELD, f"{FIELD} names a prefix length twice.")
        return cls(tuple(caps))

    def __bool__(self) -> bool:
        return bool(self.caps)

    def as_asked(self) -> dict[str, int]:
        """As a request has it."""
        return {str(length): cap_pps for length, cap_pps in self.caps}

    def text(self) -> str:
        """As the ledger stores it."""
        return json.dumps(self.as_asked())

    def of_version(self, is_ipv6: bool) -> tuple[tuple[int, int], ...]:
        """Those that prefixes of this IP version can have, shortest prefix first."""
        return self.caps if is_ipv6 else tuple(cap for cap in self.caps if cap[0] <= 32)

    def limit_pps(self, addresses: AddressSet, *, in_groups: bool) -> int | None:
        """The fastest that a run over these addresses (of one IP version) may go; None where no cap applies.

        `in_groups`: the tool goes host by host, so its whole rate may go to one prefix.
        """
        if not addresses:
            return None
        caps = self.of_version(addresses.ranges[0][0] >= IPV6_BASE)
        if in_groups:
            return min((steady_below(cap_pps) for _, cap_pps in caps), default=None)
        size = addresses.size
        return min((_spread_limit_pps(cap, densest(addresses, length), size) for length, cap in caps), default=None)


NO_CAPS = PrefixCaps()


def _length_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 128):
        raise InvalidInput(
            FIELD, f"{text[:20]!r} is no prefix length: they go from 1 to 32, for IPv6 to 128; {_EXAMPLE}."
        )
    return int(text)


def _cap_of(length: str, cap_pps: object) -> int:
    if isinstance(cap_pps, bool) or not isinstance(cap_pps, int) or not 1 <= cap_pps <= MAX_CAP_PPS:
        raise InvalidInput(
            FIELD, f"The cap of /{length[:3]} is from 1 to {MAX_CAP_PPS:,} packets per second; {_EXAMPLE}."
        )
    return cap_pps


def zone_free_pps(limit_pps: int | None, part_in_use: float) -> int:
    """What one more run may have of its zone, of which this part is in use; as sql/claim_in_zone.sql."""
    if limit_pps is None:
        return MAX_CAP_PPS
    return math.floor((1 - part_in_use) * limit_pps + _ROUNDING)


def _spread_limit_pps(cap_pps: int, in_densest: int, probed: int) -> int:
    """Of a run in random order. In one that lies in a single prefix nothing is random but the tool's own bursts."""
    if in_densest == probed:
        return steady_below(cap_pps)
    return max(1, min(int(mean_below(cap_pps) * probed / in_densest), cap_pps * probed // in_densest))


def steady_below(cap_pps: int) -> int:
    """The rate of which the tool's own bursts stay below the cap."""
    return max(1, math.floor(cap_pps * STEADY_SHARE))


def mean_below(cap_pps: int) -> float:
    """The mean of which a second's count stays below the cap: mean + 5 √mean = cap."""
    half = SPREAD_DEVIATIONS / 2
    return (math.sqrt(cap_pps + half * half) - half) ** 2


def prefix_bits(length: int, key: int) -> int:
    """How many low bits of a key (domain/addresses.py) the prefix leaves open."""
    return (128 if key >= IPV6_BASE else 32) - length


def densest(addresses: AddressSet, length: int) -> int:
    """How many of the addresses, all of one IP version, lie in the prefix of this length that has most of them."""
    if not addresses:
        return 0
    base = IPV6_BASE if addresses.ranges[0][0] >= IPV6_BASE else 0
    bits = prefix_bits(length, addresses.ranges[0][0])
    found: Counter[int] = Counter()
    for first, last in addresses.ranges:
        low, high = (first - base) >> bits, (last - base) >> bits
        if high - low > 1:
            return 1 << bits  # a whole prefix lies within
        if low == high:
            found[low] += last - first + 1
        else:
            edge = base + (high << bits)
            found[low] += edge - first
            found[high] += last - edge + 1
    return max(found.values())
