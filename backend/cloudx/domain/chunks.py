"""Chunks: the disjoint pieces of a scan, how they are planned, leased, fenced and retried."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .addresses import AddressSet
from .errors import TooLarge
from .port_set import PortSet
from .scans import Scan

CHUNK_SECONDS = 15.0  # of sending at the chunk's rate: what a lost worker costs
NMAP_CHUNK_SECONDS = 30.0
MAX_NMAP_HOSTS = 256  # one nmap process's memory and one commit's size
MAX_CHUNKS = 100_000  # past this, chunks grow instead
MAX_PROBES = 1 << 40  # at a million packets a second: twelve days
MAX_PLANNED = 1 << 53  # the excluded included: what every reader of JSON still counts exactly
MIN_HOSTS_ABREAST = 256  # so that a chunk does not pour its whole rate on one address
LEASE_SECONDS = 12.0
RENEW_SECONDS = 2.0
MAX_FAILURES = 3


class ChunkState(StrEnum):
    """The states of a chunk; `pending` again after a lost lease or a failed try."""

    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_C = ChunkState
CHUNK_TRANSITIONS: dict[ChunkState, frozenset[ChunkState]] = {
    _C.PENDING: frozenset({_C.LEASED, _C.CANCELLED}),
    _C.LEASED: frozenset({_C.DONE, _C.PENDING, _C.FAILED, _C.CANCELLED}),
    _C.DONE: frozenset(),
    _C.FAILED: frozenset(),
    _C.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """A chunk's share: a rectangle of (address offsets × port offsets) into its scan."""

    number: int
    address_start: int
    address_count: int
    port_start: int = 0
    port_count: int = 1

    @property
    def units(self) -> int:
        """Probes in it, or hosts for nmap (whose port_count is always 1)."""
        return self.address_count * self.port_count

    def addresses_of(self, scan: Scan) -> AddressSet:
        """The addresses it covers."""
        return scan.addresses.slice(self.address_start, self.address_count)

    def ports_of(self, scan: Scan) -> PortSet | None:
        """The ports it covers, or None where the scan has none."""
        if scan.ports is None or scan.type.counts_hosts:
            return scan.ports
        return scan.ports.slice(self.port_start, self.port_count)


@dataclass(frozen=True)
class Lease:
    """A chunk in the hands of one worker, until it expires. `attempt` fences it from every other try."""

    scan_id: str
    span: ChunkSpan
    attempt: int
    worker_id: str
    node_id: str
    rate_pps: int
    expires_at: datetime


def plan(scan: Scan, expected_workers: int = 1) -> Iterator[ChunkSpan]:
    """Cut a scan into disjoint spans that together cover it exactly, in address order.

    Raises TooLarge for more probes than MAX_PROBES, or more than MAX_PLANNED with the excluded.
    """
    total = scan.addresses.size
    ports = scan.units_per_address
    if total * ports > MAX_PROBES:
        raise TooLarge(f"The scan has {total * ports:,} probes; at most {MAX_PROBES:,}. Ask for fewer addresses.")
    if scan.planned_units > MAX_PLANNED:
        raise TooLarge(f"Too much is excluded: {MAX_PLANNED:,} probes at most. Name what to scan instead of the rest.")
    height, width = _chunk_shape(scan, total, ports, expected_workers)
    number = 0
    # A scanner run takes one IP version, so a chunk never crosses from IPv4 into IPv6.
    for low, high in ((0, scan.addresses.ipv4_size), (scan.addresses.ipv4_size, total)):
        for address_start in range(low, high, height):
            address_count = min(height, high - address_start)
            for port_start in range(0, ports, width):
                yield ChunkSpan(number, address_start, address_count, port_start, min(width, ports - port_start))
                number += 1


def _chunk_shape(scan: Scan, addresses: int, ports: int, workers: int) -> tuple[int, int]:
    """Addresses and ports in a full chunk."""
    if scan.type.counts_hosts:
        hosts = max(1, int(NMAP_CHUNK_SECONDS / scan.type.host_seconds))
        return max(min(hosts, MAX_NMAP_HOSTS), -(-addresses // MAX_CHUNKS)), 1
    units = max(1, int(CHUNK_SECONDS * scan.rate_pps / max(1, workers)), -(-addresses * ports // MAX_CHUNKS))
    if scan.type.tool == "zmap":
        return units, 1  # zmap takes one port a run
    abreast = min(addresses, MIN_HOSTS_ABREAST)
    widest = max(1, min(ports, units // max(1, abreast)))
    width = -(-ports // -(-ports // widest))  # columns of equal width: a thin last one would double the chunks
    return max(1, units // width), width


def claim_order(count: int, seed: int) -> list[int]:
    """A shuffled order of claiming, so that the fleet does not fall on one /24 at once."""
    order = list(range(count))
    random.Random(seed).shuffle(order)  # noqa: S311 - spreads load, keeps no secret
    return order


@dataclass(frozen=True)
class Verdict:
    """What becomes of a chunk whose run failed."""

    state: ChunkState
    failures: int
    failed_nodes: tuple[str, ...]


def after_failure(failures: int, failed_nodes: tuple[str, ...], node_id: str) -> Verdict:
    """Retry elsewhere until it has failed three times; then the chunk is failed for good."""
    nodes = failed_nodes if node_id in failed_nodes else (*failed_nodes, node_id)
    state = ChunkState.FAILED if failures + 1 >= MAX_FAILURES else ChunkState.PENDING
    return Verdict(state, failures + 1, nodes)
