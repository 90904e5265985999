"""How a scan with caps by prefix is cut: into zones that share no prefix, and these into chunks (docs/adr/0045).

A zone is one or more whole prefixes of the shortest capped length. So what is sent in one zone is nobody's business
in another, and of a zone it is enough to know which part of it is in use: a chunk that alone may go at
`zone_limit_pps` and goes at `r` uses r ÷ zone_limit_pps of its zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cloudx.domain.addresses import IPV6_BASE
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.rates.prefix_caps import mean_below, prefix_bits
from cloudx.domain.scans import Scan

from .durations import ports_of_a_host

MAX_NMAP_HOSTS = 256  # of one run


def plan_capped(scan: Scan, expected_workers: int, max_chunks: int, chunk_seconds: float) -> Iterator[ChunkSpan]:
    """Disjoint spans that cover the scan, each with its zone and the rate at which it alone may go."""
    slots = max(1, expected_workers) * scan.type.runs_per_node
    share_pps = max(1, scan.rate_pps // slots)
    while sum(1 for _ in _limited(_zones(scan, share_pps, chunk_seconds), max_chunks)) > max_chunks:
        share_pps, chunk_seconds = share_pps * 2, chunk_seconds * 2
    for number, span in enumerate(_zones(scan, share_pps, chunk_seconds)):
        yield replace(span, number=number)


def _limited(spans: Iterator[ChunkSpan], most: int) -> Iterator[ChunkSpan]:
    for count, span in enumerate(spans):
        yield span
        if count > most:
            return


def _zones(scan: Scan, share_pps: int, chunk_seconds: float) -> Iterator[ChunkSpan]:
    zone, ipv4 = 0, scan.addresses.ipv4_size
    for low, high in ((0, ipv4), (ipv4, scan.addresses.size)):
        while low < high:
            end = min(high, _end_of_zone(scan, low, share_pps))
            for span in _chunks_of(scan, low, end, share_pps, chunk_seconds):
                yield replace(span, zone=zone)
            zone, low = zone + 1, end


def _end_of_zone(scan: Scan, start: int, share_pps: int) -> int:
    """The offset behind a zone that can take the share of a run, where so many prefixes are left."""
    key = scan.addresses.slice(start, 1).ranges[0][0]
    caps = scan.rate_per_prefix.of_version(key >= IPV6_BASE)
    if not caps:
        return scan.addresses.size
    length, cap_pps = caps[0]
    prefixes = 1 if scan.type.counts_hosts else max(1, -(-share_pps // max(1, int(mean_below(cap_pps)))))
    base, bits = IPV6_BASE if key >= IPV6_BASE else 0, prefix_bits(length, key)
    return scan.addresses.count_below(base + ((((key - base) >> bits) + prefixes) << bits))


def _chunks_of(scan: Scan, low: int, high: int, share_pps: int, chunk_seconds: float) -> Iterator[ChunkSpan]:
    """The chunks of one zone, rows of addresses × columns of ports, each for about `chunk_seconds`."""
    ports, count = scan.units_per_address, high - low
    limit_pps = _limit_of(scan, low, count) or share_pps
    probes = max(1, int(chunk_seconds * min(share_pps, limit_pps)))
    if scan.counts_hosts:
        probes = max(1, min(MAX_NMAP_HOSTS, 2 * probes // ports_of_a_host(scan.type, scan.ports)))
    width = max(1, min(ports, probes // count))
    height = min(count, probes) if width == 1 else count
    rows = -(-count // height)
    for row in range(rows):
        start, end = low + count * row // rows, low + count * (row + 1) // rows
        row_limit_pps = _limit_of(scan, start, end - start)
        for port_start in range(0, ports, width):
            port_count = min(width, ports - port_start)
            yield ChunkSpan(0, start, end - start, port_start, port_count, zone_limit_pps=row_limit_pps)


def _limit_of(scan: Scan, start: int, count: int) -> int | None:
    return scan.prefix_limit_pps(scan.addresses.slice(start, count))
