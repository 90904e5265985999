"""What a scanner observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

# A cell of a FindingBlock: the place of its address, its port, the place of its answer.
ROW_SHIFT, PORT_SHIFT = 32, 16
PORT_MASK = ANSWER_MASK = 0xFFFF


class Finding(NamedTuple):
    """One port (or, for ICMP, one host: port 0) of one address, as observed once.

    A named tuple, since a chunk makes hundreds of thousands: a frozen dataclass takes four times as long.
    """

    ip: str
    protocol: str  # tcp, udp, sctp or icmp
    port: int
    state: str  # open, closed, filtered, open|filtered, up
    observed_at: datetime
    service: str | None = None
    hostname: str | None = None
    extra: Mapping[str, Any] = MappingProxyType({})  # what the tool adds: ttl, product, version, scripts …


@dataclass(frozen=True, slots=True)
class HostFinding:
    """One address that answered, with what nmap says of the host as a whole."""

    ip: str
    state: str
    observed_at: datetime
    hostname: str | None = None
    os_name: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class Answer(NamedTuple):
    """What many findings have in common."""

    protocol: str
    state: str
    observed_at: datetime
    extra: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FindingBlock:
    """Findings of IPv4 addresses that share a few answers.

    A chunk may hold hundreds of thousands: a database takes a block several times as fast as objects. `cells` has a
    number for each finding: row << ROW_SHIFT | port << PORT_SHIFT | answer. Ascending, they are in the order in which a
    database keeps findings.
    """

    addresses: Sequence[int]  # as numbers
    answers: Sequence[Answer]
    cells: Sequence[int]

    def __iter__(self) -> Iterator[Finding]:
        """Yield each as an object."""
        for cell in self.cells:
            address = self.addresses[cell >> ROW_SHIFT]
            protocol, state, observed_at, extra = self.answers[cell & ANSWER_MASK]
            ip = f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
            yield Finding(ip, protocol, cell >> PORT_SHIFT & PORT_MASK, state, observed_at, None, None, extra)


AnyFinding = Finding | HostFinding
Found = AnyFinding | FindingBlock


def each(found: Iterable[Found]) -> Iterator[AnyFinding]:
    """Yield one object a finding."""
    for one in found:
        if isinstance(one, FindingBlock):
            yield from one
        else:
            yield one
