"""How a scan is cut into chunks: most of it in large ones, the end in ever smaller ones (docs/adr/0012).

The plan lays a grid of equal cells over (addresses × ports). A few cells, spread over the whole scan, are carved
into halves of halves; they are claimed last, so that all workers end at about the same time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.errors import TooLarge
from cloudx.domain.scans import Scan

from .capped_plan import plan_capped
from .durations import MAX_SENDING_SECONDS, SPLIT_CHUNK_SECONDS, host_seconds, ports_of_a_host

CHUNK_SECONDS = 15.0  # of sending at the chunk's rate: what a lost worker costs
LAST_CHUNK_SECONDS = CHUNK_SECONDS / 8  # below it a scanner's start would weigh more than the balance gained
NMAP_CHUNK_SECONDS = 2 * CHUNK_SECONDS
LAST_NMAP_CHUNK_SECONDS = NMAP_CHUNK_SECONDS / 4  # nmap works on the hosts of one run side by side
CELLS_EACH = 2.0  # the fewest that a worker should get: the last of them is carved
LONE_CELLS_EACH = 0.5  # a lone worker waits for no other: each of its runs has something to do, and that is all
MAX_NMAP_HOSTS = 256  # one nmap process's memory and one commit's size
MAX_CHUNKS = 100_000  # past this, chunks grow instead
MAX_PROBES = 1 << 40  # at a million packets a second: twelve days
MAX_PLANNED = 1 << 53  # the excluded included: what every reader of JSON still counts exactly
WAVE_RATIO = 1.5  # below 2, so that a half is never claimed before its whole
MIN_HOSTS_ABREAST = 256  # so that a chunk does not pour its whole rate on one address


@dataclass(frozen=True)
class _Grid:
    """Cells of `height` addresses × `width` ports; `halvings` is how often the last ones are carved."""

    height: int
    width: int
    slots: int  # runs that go on side by side
    halvings: int


def plan(
    scan: Scan, expected_workers: int = 1, max_chunks: int = MAX_CHUNKS, chunk_seconds: float = CHUNK_SECONDS
) -> Iterator[ChunkSpan]:
    """Cut a scan into disjoint spans that together cover it exactly, in address order.

    `expected_workers` are the nodes that can take part. At most about `max_chunks` spans are made, and a tenth more by
    carving. None is planned for more than `chunk_seconds` of sending, unless `max_chunks` forces it. Raises TooLarge
    for more probes than MAX_PROBES, or more than MAX_PLANNED with the excluded.
    """
    total = scan.addresses.size * scan.units_per_address
    if total > MAX_PROBES:
        raise TooLarge(f"The scan has {total:,} probes; at most {MAX_PROBES:,}. Ask for fewer addresses.")
    if scan.planned_units > MAX_PLANNED:
        raise TooLarge(f"Too much is excluded: {MAX_PLANNED:,} probes at most. Name what to scan instead of the rest.")
    if scan.rate_per_prefix:
        yield from plan_capped(scan, expected_workers, max_chunks, chunk_seconds)
        return
    grid = _grid(scan, total, max(1, expected_workers), max_chunks, chunk_seconds)
    yield from _spans(scan, grid, _carved_cells(scan, grid, max_chunks))


def _grid(scan: Scan, total: int, workers: int, max_chunks: int, chunk_seconds: float) -> _Grid:
    slots, max_units = workers * scan.type.runs_per_node, None
    if scan.counts_hosts:
        port_count = ports_of_a_host(scan.type, scan.ports)
        unit_seconds = host_seconds(scan.type, port_count)
        full_seconds, last_seconds = 2 * chunk_seconds, LAST_NMAP_CHUNK_SECONDS
        # A dead host takes none of that, so a slow rate alone does not tear a sparse network into single hosts.
        max_units = max(1, min(MAX_NMAP_HOSTS, int(MAX_SENDING_SECONDS * scan.rate_pps / slots / port_count)))
    else:
        unit_seconds = slots / scan.rate_pps
        full_seconds, last_seconds = chunk_seconds, LAST_CHUNK_SECONDS
        if scan.splits_ports:
            full_seconds = last_seconds = SPLIT_CHUNK_SECONDS
    slot_seconds = total * unit_seconds / slots
    cells_each = CELLS_EACH if workers > 1 else LONE_CELLS_EACH
    while slots > 1 and full_seconds > last_seconds and slot_seconds < cells_each * full_seconds:
        full_seconds /= 2
    cells = _cell_count(slot_seconds / full_seconds, slots, workers)
    if scan.counts_hosts and total * port_count / scan.rate_pps > LAST_NMAP_CHUNK_SECONDS:
        cells = max(cells, slots)  # the nodes' limits hold it back: a run each, or some have nothing to send
    units = max(1, -(-total // min(cells, max_chunks)))
    if max_units and units > max_units:
        units = max(max_units, -(-total // max_chunks))
    halvings = int(math.log2(max(1.0, units * unit_seconds / last_seconds)) + 0.1) if workers > 1 else 0
    return _Grid(*_shape(scan, units), slots, halvings)


def _cell_count(full_cells_each: float, slots: int, workers: int) -> int:
    """The same number for every slot, so that equal workers end together; fewer for a small scan, equal by worker."""
    if full_cells_each <= 0.5:
        cells = max(1, math.ceil(slots * full_cells_each))
        return cells if cells <= workers // 2 else workers * math.ceil(cells / workers)
    return slots * math.ceil(full_cells_each)


def _shape(scan: Scan, units: int) -> tuple[int, int]:
    """Addresses and ports in a full cell."""
    ports = scan.units_per_address
    if ports == 1 or scan.type.tool == "zmap":
        return units, 1  # zmap takes one port a run
    # Each run of nmap looks for its hosts anew: few hosts, many ports.
    abreast = 1 if scan.splits_ports else max(1, min(scan.addresses.size, MIN_HOSTS_ABREAST))
    widest = max(1, min(ports, units // abreast))
    width = -(-ports // -(-ports // widest))  # columns of equal width: a thin last one would double the chunks
    return max(1, -(-units // width)), width


def _sections(scan: Scan, grid: _Grid) -> Iterator[tuple[int, int, int]]:
    """First and end offset of the addresses of each IP version, and how many rows they get."""
    # A scanner run takes one IP version, so a chunk never crosses from IPv4 into IPv6.
    for low, high in ((0, scan.addresses.ipv4_size), (scan.addresses.ipv4_size, scan.addresses.size)):
        yield low, high, -(-(high - low) // grid.height)


def _spans(scan: Scan, grid: _Grid, carved: frozenset[int]) -> Iterator[ChunkSpan]:
    ports, number = scan.units_per_address, 0
    cells = itertools.count()
    for low, high, rows in _sections(scan, grid):
        for row in range(rows):
            start, end = low + (high - low) * row // rows, low + (high - low) * (row + 1) // rows
            for port_start in range(0, ports, grid.width):
                cell = ChunkSpan(number, start, end - start, port_start, min(grid.width, ports - port_start))
                pieces = _carve(cell, grid.halvings) if next(cells) in carved else (cell,)
                for piece in pieces:
                    yield piece if piece.number == number else replace(piece, number=number)
                    number += 1


def _carved_cells(scan: Scan, grid: _Grid, max_chunks: int) -> frozenset[int]:
    """One cell a slot, anywhere in the scan, so that the last waves do not meet at its end."""
    if not grid.halvings:
        return frozenset()
    cells = sum(rows for _, _, rows in _sections(scan, grid)) * -(-scan.units_per_address // grid.width)
    wanted = min(grid.slots, -(-cells // 2), max_chunks // (10 * grid.halvings))
    return frozenset(random.Random(scan.id).sample(range(cells), wanted))  # noqa: S311 - spreads load, keeps no secret


def _carve(cell: ChunkSpan, halvings: int) -> Iterator[ChunkSpan]:
    """A half, a quarter, an eighth, … and the last size twice."""
    rest = cell
    for _ in range(halvings):
        if rest.units == 1:
            break
        taken, rest = halved(rest)
        yield taken
    yield rest


def halved(span: ChunkSpan, first_share: int = 1, shares: int = 2) -> tuple[ChunkSpan, ChunkSpan]:
    """Two disjoint spans that make up this one, the first of about `first_share` ÷ `shares` of it."""
    if span.port_count > 1 and span.address_count < 2 * MIN_HOSTS_ABREAST:
        ports = min(max(1, span.port_count * first_share // shares), span.port_count - 1)
        rest = replace(span, port_start=span.port_start + ports, port_count=span.port_count - ports)
        return replace(span, port_count=ports), rest
    hosts = min(max(1, span.address_count * first_share // shares), span.address_count - 1)
    rest = replace(span, address_start=span.address_start + hosts, address_count=span.address_count - hosts)
    return replace(span, address_count=hosts), rest


def divided(span: ChunkSpan, parts: int) -> list[ChunkSpan]:
    """At most `parts` disjoint spans of about equal size that make up this one; all have its number."""
    parts = min(parts, span.units)
    if parts <= 1:
        return [span]
    first, rest = halved(span, parts // 2, parts)
    return divided(first, parts // 2) + divided(rest, parts - parts // 2)


def claim_order(units: Sequence[int], seed: int) -> list[int]:
    """Each chunk's place in the queue: large ones first, halves of them next, …, shuffled within a wave.

    Shuffled, so that the fleet does not fall on one /24 at once.
    """
    order = list(range(len(units)))
    random.Random(seed).shuffle(order)  # noqa: S311 - spreads load, keeps no secret
    wave_of = _waves(units)
    order.sort(key=lambda index: wave_of[units[index]])
    places = order.copy()
    for place, index in enumerate(order):
        places[index] = place
    return places


def _waves(units: Iterable[int]) -> dict[int, int]:
    """Sizes by wave: within a wave the largest is less than WAVE_RATIO times the smallest."""
    sizes = set(units)
    largest = max(sizes, default=1)
    return {size: int(math.log(largest / size, WAVE_RATIO)) for size in sizes}
