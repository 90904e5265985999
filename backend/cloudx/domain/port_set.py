"""Sets of TCP or UDP ports as sorted ranges."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from .errors import InvalidInput, TooLarge
from .service_names import PORT_OF_SERVICE
from .tools import ScanType

MAX_RANGES = 10_000  # a scanner takes them as one argument, and Linux at most 128 KiB of one
MAX_PORT = 65535
_REMEDY = "Write ports from 1 to 65535: 80, 80,443, 1-1000, 1-, -1024, - for all of them, or a service such as http."
_ONE = re.compile(r"\d{1,5}\Z", re.ASCII)
_SPAN = re.compile(r"(\d{0,5})-(\d{0,5})\Z", re.ASCII)
_PREFIX = re.compile(r"([TUtu]):", re.ASCII)
_SEPARATORS = re.compile(r"[,\s]+")
_AROUND_A_DASH = re.compile(r"[ \t]*-[ \t]*")  # `80 - 90` is one range; a lone dash would mean all ports
Range = tuple[int, int]


@dataclass(frozen=True)
class PortSet:
    """An immutable set of ports, held as sorted, disjoint, non-adjacent inclusive ranges.

    `ranges` are of the scan type's own protocol. `udp_ranges` go beside them where a type sends TCP and UDP.
    """

    ranges: tuple[Range, ...]
    udp_ranges: tuple[Range, ...] = ()

    @classmethod
    def parse(cls, text: str | int, field: str = "ports", scan_type: ScanType | None = None) -> PortSet:
        """Read ports as people and nmap write them (nmap(1), `-p`).

        `80`, `80,443`, `1-1000`, `1-`, `-1024`, `-`, `http`, separated by commas or spaces; after `T:` TCP ports, after
        `U:` UDP ports, before both ports of the scan type's own protocol. Raises InvalidInput naming `field`, also for
        a protocol that the scan type does not send, or TooLarge.
        """
        own, tcp, udp = _by_protocol(text, field)
        if scan_type is not None and scan_type.protocol == "udp":
            _refuse(tcp, "T:", scan_type, field)
            ports = cls.of(own + udp, field)
        else:
            if scan_type is not None and not scan_type.may_send_udp:
                _refuse(udp, "U:", scan_type, field)
            ports = cls.of(own + tcp, field, udp)
        if (count := len(ports.ranges) + len(ports.udp_ranges)) > MAX_RANGES:
            raise TooLarge(f"{count} separate ports or ranges; at most {MAX_RANGES}. Ask for whole ranges.")
        return ports

    @classmethod
    def of(cls, ranges: Iterable[Range], field: str = "ports", udp_ranges: Iterable[Range] = ()) -> PortSet:
        """Normalise ranges: sort them and join those that touch."""
        ports = cls(_joined(ranges), _joined(udp_ranges))
        if not ports.ranges and not ports.udp_ranges:
            raise InvalidInput(field, f"No port given. {_REMEDY}")
        return ports

    @cached_property
    def _offsets(self) -> list[int]:
        return [0, *accumulate(last - first + 1 for first, last in self.ranges)]

    @cached_property
    def _starts(self) -> list[int]:
        return [first for first, _ in self.ranges]

    @property
    def size(self) -> int:
        """How many ports there are, of both protocols."""
        return self._offsets[-1] + sum(last - first + 1 for first, last in self.udp_ranges)

    def index_of(self, port: int) -> int | None:
        """How many ports of `ranges` come before `port`, or None when it is not in them."""
        at = bisect_right(self._starts, port) - 1
        if at < 0 or port > self.ranges[at][1]:
            return None
        return self._offsets[at] + port - self.ranges[at][0]

    def slice(self, start: int, count: int) -> PortSet:
        """`count` ports from the `start`-th of `ranges` on, in ascending order."""
        taken: list[Range] = []
        for (first, last), offset in zip(self.ranges, self._offsets, strict=False):
            low, high = max(first, first + start - offset), min(last, first + start + count - 1 - offset)
            if low <= high:
                taken.append((low, high))
        return PortSet(tuple(taken))

    def __str__(self) -> str:
        """As nmap, masscan and people write it: `22,80-90`, and `T:22,U:53` with UDP ports beside."""
        if not self.udp_ranges:
            return _text(self.ranges)
        return (f"T:{_text(self.ranges)}," if self.ranges else "") + f"U:{_text(self.udp_ranges)}"


def _by_protocol(text: str | int, field: str) -> tuple[list[Range], list[Range], list[Range]]:
    """The ranges before any prefix, those after T: and those after U:."""
    if isinstance(text, int):
        return [_parse_entry(str(text) if text > 0 else "0", field)], [], []
    own, tcp, udp = list[Range](), list[Range](), list[Range]()
    into = own
    for entry in _SEPARATORS.split(_AROUND_A_DASH.sub("-", text)):
        if prefix := _PREFIX.match(entry):
            into, entry = udp if prefix[1] in "Uu" else tcp, entry[prefix.end() :]
        if entry:
            into.append(_parse_entry(entry, field))
    return own, tcp, udp


def _refuse(ranges: list[Range], prefix: str, scan_type: ScanType, field: str) -> None:
    """Raise InvalidInput if there are ports of a protocol that the scan type does not send."""
    if ranges:
        name, protocol = f"{scan_type.tool} {scan_type.name}", scan_type.protocol.upper()
        message = f"{name} sends {protocol} alone, and {prefix}{_text(_joined(ranges))[:40]} asks for another protocol."
        raise InvalidInput(field, f"{message} Leave it out, or scan with nmap default, which sends both.")


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _text(ranges: tuple[Range, ...]) -> str:
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _parse_entry(entry: str, field: str) -> Range:
    first, last = _numbers(entry)
    if not 1 <= first <= last <= MAX_PORT:
        shown = entry if len(entry) <= 40 else entry[:40] + "…"
        raise InvalidInput(field, f"{shown!r} is not a port or a range of ports. {_REMEDY}", value=shown)
    return first, last


def _numbers(entry: str) -> Range:
    """The first and the last port; (0, 0) for what is none."""
    if _ONE.match(entry):
        return int(entry), int(entry)
    if span := _SPAN.match(entry):
        return int(span[1] or 1), int(span[2] or MAX_PORT)
    port = PORT_OF_SERVICE.get(entry.lower(), 0)
    return port, port
