"""Which probes a scan completed, as far as its ledger proves it: without a proof nothing counts as closed."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache

from cloudx.domain.addresses import stored_key
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.planning.durations import EVERY_PORT
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.tarpits import MIN_PORTS
from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool

_UNHEARD = "open|filtered"  # nothing was heard: what masscan and zmap never report
_REMEMBERED_ADDRESSES = 256  # the ports of an address come one after the other
Column = Callable[[int], int | None]  # a port's place in the plan; None for one that was not asked for


class CompletedProbes:
    """The plan of a scan without its gaps: the chunks that are not done, or of which a part was not probed.

    The ledger does not say which addresses of a chunk were excluded later or given up, so such a chunk is a gap as a
    whole. Where the tool picks the ports itself, `earlier` says what that choice has: a scan that left the same or a
    narrower choice to the same tool found its ports in it.
    """

    def __init__(self, scan: Scan, gaps: Iterable[ChunkSpan], earlier: Scan, within: ChunkSpan | None = None) -> None:
        """`within`: what one chunk of it completed, of which nothing was left out."""
        self._scan = scan
        self._within = within
        self._gaps = _Gaps(gaps)
        self._columns = _columns_of(scan, earlier)
        self._row_of = lru_cache(_REMEMBERED_ADDRESSES)(self._find_row)

    def would_show(self, ip: str, protocol: str, port: int, state: str, *, host_seen: bool) -> bool:
        """True if this finding would be among the scan's own, were it still there.

        `host_seen`: nmap found the host up. Of one that is down it probes no port.
        """
        if (self._scan.tool is Tool.NMAP and not host_seen) or (self._scan.tool is not Tool.NMAP and state == _UNHEARD):
            return False
        column_of = self._columns.get(protocol)
        column = column_of(port) if column_of is not None else None
        row = self._row_of(ip)
        return row is not None and column is not None and self._is_done(row, column)

    def _is_done(self, row: int, column: int) -> bool:
        return not self._gaps.hold(row, column) and (self._within is None or _holds(self._within, row, column))

    def _find_row(self, ip: str) -> int | None:
        return self._scan.addresses.index_of_key(stored_key(ip))


def leaves_choice(scan: Scan) -> bool:
    """True if the tool picks the ports itself, so that what it proves depends on who found them (`earlier`)."""
    return scan.ports is None and scan.tool is Tool.NMAP and scan.type.usual_ports != EVERY_PORT.size


def may_fold(scan: Scan) -> bool:
    """True if hosts that answer on everything may be one finding together (tarpits.py), instead of each port's."""
    return (scan.ports.size if scan.ports is not None else scan.type.usual_ports) >= MIN_PORTS


def _columns_of(scan: Scan, earlier: Scan) -> dict[str, Column]:
    """By protocol. None at all where nmap's hosts were cut by their ports.

    Each such run looks for its hosts anew, and the ledger does not say which of them found a host up.
    """
    if scan.splits_ports:
        return {}
    ports, protocol = _ports_asked(scan, earlier), scan.type.protocol
    if ports is None:
        return {}
    if not scan.counts_hosts:
        return {protocol: ports.index_of}
    udp = PortSet(ports.udp_ranges)
    mixed: dict[str, Column] = {"udp": lambda port: _as_host(udp, port)} if udp.ranges else {}
    return mixed | {protocol: lambda port: _as_host(ports, port)}


def _as_host(ports: PortSet, port: int) -> int | None:
    """All ports of a host are one unit of its plan."""
    return None if ports.index_of(port) is None else 0


def _ports_asked(scan: Scan, earlier: Scan) -> PortSet | None:
    if scan.ports is not None:
        return scan.ports
    if scan.tool is not Tool.NMAP:
        return PortSet(((0, 0),))  # ICMP, whose findings have port 0
    if scan.type.usual_ports == EVERY_PORT.size or _is_choice_of(earlier, scan):
        return EVERY_PORT
    return None


def _is_choice_of(earlier: Scan, scan: Scan) -> bool:
    """True if nmap chose the ports of both, and no more for the earlier one: its most common ports, by number."""
    if earlier.tool is not Tool.NMAP or earlier.ports is not None:
        return False
    return earlier.type.protocol == scan.type.protocol and earlier.type.usual_ports <= scan.type.usual_ports


def _holds(span: ChunkSpan, row: int, column: int) -> bool:
    is_row = span.address_start <= row < span.address_start + span.address_count
    return is_row and span.port_start <= column < span.port_start + span.port_count


class _Gaps:
    """Rectangles of the plan, in flat memory: a scan that was stopped early may leave a million."""

    def __init__(self, spans: Iterable[ChunkSpan]) -> None:
        found: dict[tuple[int, int], tuple[array[int], array[int]]] = {}
        for span in spans:
            starts, ends = found.setdefault((span.port_start, span.port_count), (array("q"), array("q")))
            starts.append(span.address_start)
            ends.append(span.address_start + span.address_count)
        self._by_ports = {ports: _in_order(*rows) for ports, rows in found.items()}
        self._at_column = lru_cache(maxsize=None)(self._rows_at)

    def hold(self, row: int, column: int) -> bool:
        """True if one of them covers this address and port."""
        for starts, ends in self._at_column(column):
            at = bisect_right(starts, row) - 1
            if at >= 0 and row < ends[at]:
                return True
        return False

    def _rows_at(self, column: int) -> list[tuple[array[int], array[int]]]:
        return [rows for (first, count), rows in self._by_ports.items() if first <= column < first + count]


def _in_order(starts: array[int], ends: array[int]) -> tuple[array[int], array[int]]:
    order = sorted(range(len(starts)), key=starts.__getitem__)
    return array("q", map(starts.__getitem__, order)), array("q", map(ends.__getitem__, order))
