"""The ports of a host that nmap found shut, for runs that ask only what another scanner found open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lxml import etree

from cloudx.domain.errors import CloudxError
from cloudx.domain.findings import Finding
from cloudx.domain.port_set import PortSet

_SHUT_STATES = frozenset({"closed", "filtered"})


def shut_ports(ports: etree._Element, ip: str, hostname: str | None, observed_at: datetime) -> Iterator[Finding]:
    """Each of them, those too that nmap tells of as a group because they are many (nmap.dtd, extrareasons)."""
    for port in ports.iterchildren("port"):
        state = port.find("state")
        if state is not None and (name := state.get("state", "")) in _SHUT_STATES:
            protocol, number = port.get("protocol", "tcp"), int(port.get("portid", 0))
            yield _finding(ip, protocol, number, name, observed_at, hostname, state.get("reason"))
    for group in ports.iterchildren("extraports"):
        if (name := group.get("state", "")) in _SHUT_STATES:
            for reason in group.iterchildren("extrareasons"):
                protocol = reason.get("proto", "tcp")
                for number in _numbers(reason.get("ports", "")):
                    yield _finding(ip, protocol, number, name, observed_at, hostname, reason.get("reason"))


def _finding(
    ip: str, protocol: str, number: int, state: str, observed_at: datetime, hostname: str | None, reason: str | None
) -> Finding:
    return Finding(ip, protocol, number, state, observed_at, None, hostname, {"reason": reason} if reason else {})


def _numbers(text: str) -> Iterator[int]:
    try:
        ranges = PortSet.parse(text).ranges
    except CloudxError:
        return  # an nmap before 7.92 does not tell which
    for first, last in ranges:
        yield from range(first, last + 1)
