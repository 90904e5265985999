"""A scan as one report: each address that answered once, with its ports, and what the ledger can prove of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby, islice
from typing import Any

from cloudx.domain.port_set import MAX_PORT, PortSet
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import FindingRow, HostRow

from .results import stream_findings, stream_hosts
from .view import ScanView, get_scan

HELD_ROWS = 2_000  # of one host; where it has more, they are read twice instead


@dataclass(frozen=True)
class ReportedHost:
    """One address.

    `rows` are its findings in (protocol, port) order, to be read once, before the next host; `host` is what nmap says
    of it as a whole; `seen_at` is when it was last heard. `first` is the first of its findings, `tarpit` the verdict
    that it answers on everything. `unopened` is how many of its ports were probed and not found open; None where the
    ledger does not prove it.
    """

    ip: str
    host: HostRow | None
    rows: Iterable[FindingRow]
    seen_at: datetime | None
    first: FindingRow | None
    tarpit: FindingRow | None
    unopened: int | None


@dataclass(frozen=True)
class HostCounts:
    """How many addresses were up, down (asked, and silent) and probed at all."""

    up: int
    down: int
    total: int


@dataclass(frozen=True)
class Report:
    """A scan at a moment of the ledger's clock, and its hosts in address order, as a stream."""

    view: ScanView[Scan]
    made_at: datetime
    hosts: Iterator[ReportedHost]


def read_report(open_ledger: OpenLedger, scan_id: str) -> Report:
    """The report of a scan, over or not. Raises NotFound."""
    view = get_scan(open_ledger, scan_id)
    with open_ledger(read_only=True) as ledger:
        made_at = ledger.now()
    return Report(view, made_at, _hosts(open_ledger, view))


def asked_ports(scan: Scan) -> PortSet | None:
    """The ports that it probes of each address; None where it probes none, or the most common by the tool's list."""
    if scan.ports is None and scan.type.usual_ports == MAX_PORT:
        return PortSet(((1, MAX_PORT),))
    return scan.ports


def count_hosts(view: ScanView[Scan], up: int, unheard: int) -> HostCounts:
    """Of a report with so many hosts up, and so many of which nothing was heard although nmap scanned them.

    The total is what coverage has as completed, in whole addresses, and at least what is reported. Down is nmap's word
    for a host that was asked whether it is there and said nothing: masscan and zmap ask no such thing of TCP or UDP.
    """
    scan = view.scan
    total = max(-(-view.coverage.completed // scan.units_per_address), up + unheard)
    asks_whether_up = scan.tool is Tool.NMAP or scan.type.protocol == "icmp"
    return HostCounts(up, total - up - unheard if asks_whether_up else 0, total)


def proven_ports(view: ScanView[Scan]) -> PortSet | None:
    """The ports of which each that is not told as open was probed, to the end, and did not answer as open.

    None where a part was not probed, where the ports are the tool's choice, or where an open one may look like a closed
    one: masscan tells of UDP ports that answered, and silence may be either.
    """
    scan, coverage = view.scan, view.coverage
    is_whole = scan.status.is_final and not (coverage.failed or coverage.remaining or view.tally.excluded_units)
    may_look_closed = scan.tool is not Tool.NMAP and scan.type.protocol != "tcp"
    return asked_ports(scan) if is_whole and not may_look_closed else None


@dataclass
class _Tarpits:
    """The addresses up to which the verdict on a tar pit reaches; they come in ascending order."""

    last: tuple[int, int] = (0, 0)

    def take(self, verdict: FindingRow) -> None:
        try:
            prefix = ipaddress.ip_network(str(verdict.extra.get("prefix") or verdict.ip))
        except ValueError:
            return
        self.last = max(self.last, (prefix.version, int(prefix.broadcast_address)))

    def reach(self, ip: str) -> bool:
        return self.last > (0, 0) and _order(ip) <= self.last


@dataclass
class _Seen:
    """What is to be known of all the rows of a host before the first is shown."""

    ports: PortSet | None
    own_protocol: str
    last_at: datetime | None = None
    opened: int = 0
    tarpit: FindingRow | None = None

    def take(self, row: FindingRow) -> FindingRow:
        if self.last_at is None or row.observed_at > self.last_at:
            self.last_at = row.observed_at
        if row.state == ANSWERS_ALL:
            self.tarpit = self.tarpit or row
        elif self.ports is not None and self._was_asked(row, self.ports):
            self.opened += 1
        return row

    def _was_asked(self, row: FindingRow, ports: PortSet) -> bool:
        if row.protocol == self.own_protocol:
            return ports.index_of(row.port) is not None
        return row.protocol == "udp" and any(first <= row.port <= last for first, last in ports.udp_ranges)


def _hosts(open_ledger: OpenLedger, view: ScanView[Scan]) -> Iterator[ReportedHost]:
    scan, ports, tarpits = view.scan, proven_ports(view), _Tarpits()
    groups = groupby(stream_findings(open_ledger, scan.id), key=lambda row: row.ip)
    for ip, host, rows in _joined(stream_hosts(open_ledger, scan.id), groups):
        seen = _Seen(ports, scan.type.protocol, None if host is None else host.observed_at)
        held = [seen.take(row) for row in islice(rows, HELD_ROWS)]
        if len(held) == HELD_ROWS:
            for row in rows:
                seen.take(row)
        if seen.tarpit is not None:
            tarpits.take(seen.tarpit)
        unopened = None if ports is None or tarpits.reach(ip) else max(0, ports.size - seen.opened)
        first = held[0] if held else None
        yield ReportedHost(ip, host, _again(open_ledger, held), seen.last_at, first, seen.tarpit, unopened)


def _again(open_ledger: OpenLedger, held: list[FindingRow]) -> Iterator[FindingRow]:
    """The rows of the host that these are the first of: what is not held is read a second time."""
    yield from held
    if len(held) == HELD_ROWS:
        last = held[-1]
        for row in stream_findings(open_ledger, last.scan_id, last.key):
            if row.ip != last.ip:
                return
            yield row


_Group = tuple[str, HostRow | None, Iterable[FindingRow]]


def _joined(hosts: Iterator[HostRow], groups: Iterable[tuple[str, Any]]) -> Iterator[_Group]:
    """Both by address, which both are in the order of."""
    host = next(hosts, None)
    for ip, rows in groups:
        while host is not None and host.ip != ip and _order(host.ip) < _order(ip):
            yield host.ip, host, ()
            host = next(hosts, None)
        if host is not None and host.ip == ip:
            yield ip, host, rows
            host = next(hosts, None)
        else:
            yield ip, None, rows
    for left in chain(() if host is None else (host,), hosts):
        yield left.ip, left, ()


def _order(ip: str) -> tuple[int, int]:
    """IPv4 before IPv6, as the ledger has them."""
    address = ipaddress.ip_interface(ip)
    return address.version, int(address)
