"""What a scanner observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple


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


AnyFinding = Finding | HostFinding
