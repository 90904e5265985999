"""Sets of TCP or UDP ports as sorted ranges."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from .errors import InvalidInput, TooLarge

MAX_RANGES = 10_000  # a scanner takes them as one argument, and Linux at most 128 KiB of one
_REMEDY = "Write ports from 1 to 65535: 80, 80,443 or 1-1000."
_ENTRY = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z", re.ASCII)


@dataclass(frozen=True)
class PortSet:
    """An immutable set of ports, held as sorted, disjoint, non-adjacent inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str | int, field: str = "ports") -> PortSet:
        """Read `80`, `80,443` or `1-1000`; raises InvalidInput naming `field`, or TooLarge."""
        entries = [part.strip() for part in str(text).split(",")]
        ports = cls.of([_parse_entry(entry, field) for entry in entries], field)
        if len(ports.ranges) > MAX_RANGES:
            raise TooLarge(f"{len(ports.ranges)} separate ports or ranges; at most {MAX_RANGES}. Ask for whole ranges.")
        return ports

    @classmethod
    def of(cls, ranges: list[tuple[int, int]], field: str = "ports") -> PortSet:
        """Normalise ranges: sort them and join those that touch."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        if not joined:
            raise InvalidInput(field, f"No port given. {_REMEDY}")
        return cls(tuple(joined))

    @cached_property
    def _offsets(self) -> list[int]:
        return [0, *accumulate(last - first + 1 for first, last in self.ranges)]

    @cached_property
    def _starts(self) -> list[int]:
        return [first for first, _ in self.ranges]

    @property
    def size(self) -> int:
        """How many ports there are."""
        return self._offsets[-1]

    def index_of(self, port: int) -> int | None:
        """How many ports of the set come before `port`, or None when it is not in the set."""
        at = bisect_right(self._starts, port) - 1
        if at < 0 or port > self.ranges[at][1]:
            return None
        return self._offsets[at] + port - self.ranges[at][0]

    def slice(self, start: int, count: int) -> PortSet:
        """`count` ports from the `start`-th on, in ascending order."""
        taken: list[tuple[int, int]] = []
        for (first, last), offset in zip(self.ranges, self._offsets, strict=False):
            low, high = max(first, first + start - offset), min(last, first + start + count - 1 - offset)
            if low <= high:
                taken.append((low, high))
        return PortSet(tuple(taken))

    def __str__(self) -> str:
        """As nmap, masscan and people write it: `22,80-90`."""
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in self.ranges)


def _parse_entry(entry: str, field: str) -> tuple[int, int]:
    match = _ENTRY.match(entry)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        shown = entry if len(entry) <= 40 else entry[:40] + "…"
        raise InvalidInput(field, f"{shown!r} is not a port or a range of ports. {_REMEDY}", value=shown)
    return first, last
