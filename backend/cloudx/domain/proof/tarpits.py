"""Hosts that answer on everything: SYN proxies and tar pits, whose open ports mean nothing."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime

from cloudx.domain.addresses import AddressSet, Network
from cloudx.domain.findings import AnyFinding, Finding, Found, each
from cloudx.domain.port_set import PortSet

MIN_PORTS = 100  # of fewer, a host may well serve nearly all
MIN_OPEN_SHARE = 0.95  # some answers get lost
ANSWERS_ALL = "answers_all"

ReadFindings = Callable[[], Iterator[Found]]


def fold_tarpits(read: ReadFindings, ports: PortSet | None, port_count: int) -> Iterator[Found]:
    """The findings, but one verdict for all the open ports of hosts that answer on nearly every port probed.

    Neighbours are one verdict together: a finding of the first address and port, in the state ANSWERS_ALL, with the
    prefix and the ports. `read` is called twice; `port_count` is how many ports were probed, `ports` which (None: the
    tool's own choice).
    """
    if port_count < MIN_PORTS:
        yield from read()
        return
    found = Counter(one.ip for one in each(read()) if _is_open(one))
    tarpits = {ip for ip, count in found.items() if count >= MIN_OPEN_SHARE * port_count}
    seen: tuple[str, datetime] | None = None  # a protocol, and when
    for one in each(read()):
        if isinstance(one, Finding) and one.ip in tarpits and _is_open(one):
            seen = seen or (one.protocol, one.observed_at)
        else:
            yield one
    if seen is not None:
        of_all = AddressSet.of_addresses(map(ipaddress.ip_address, tarpits))
        for prefix in of_all.networks():
            yield _verdict(prefix, ports, port_count, *seen)


def _is_open(one: AnyFinding) -> bool:
    return isinstance(one, Finding) and one.state == "open"


def _verdict(prefix: Network, ports: PortSet | None, port_count: int, protocol: str, at: datetime) -> Finding:
    first_port = ports.ranges[0][0] if ports else 0
    extra = {"prefix": str(prefix), "probed_ports": str(ports) if ports else f"{port_count} most common"}
    return Finding(str(prefix.network_address), protocol, first_port, ANSWERS_ALL, at, extra=extra)
