"""Chunks: the disjoint pieces of a scan, how they are leased, fenced and retried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .addresses import AddressSet
from .backoff import Backoff
from .port_set import PortSet
from .scans import Scan

LEASE_SECONDS = 12.0
RENEW_SECONDS = 2.0
MAX_FAILURES = 3
# The first pause lets another node take the chunk; the next outlasts a link that comes back or a gateway that restarts.
FAILURE_RETRY = Backoff(first_seconds=2.0, longest_seconds=30.0, factor=8.0)


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
    """A chunk's place in its scan: a rectangle of (address offsets × port offsets)."""

    number: int
    address_start: int
    address_count: int
    port_start: int = 0
    port_count: int = 1
    zone: int | None = None  # where caps by prefix hold; chunks of different zones share no prefix
    zone_limit_pps: int | None = None  # how fast it may go where nothing else of its zone does

    @property
    def units(self) -> int:
        """Probes in it, or hosts for nmap (whose port_count is 1 then)."""
        return self.address_count * self.port_count

    def addresses_of(self, scan: Scan) -> AddressSet:
        """The addresses it covers."""
        return scan.addresses.slice(self.address_start, self.address_count)

    def ports_of(self, scan: Scan) -> PortSet | None:
        """The ports it covers, or None where the scan has none."""
        if scan.ports is None or scan.counts_hosts:
            return scan.ports
        return scan.ports.slice(self.port_start, self.port_count)


@dataclass(frozen=True)
class Lease:
    """One worker's right to run a chunk until `expires_at`; `attempt` is the fencing token."""

    scan_id: str
    span: ChunkSpan
    attempt: int
    worker_id: str
    node_id: str
    rate_pps: int
    expires_at: datetime


@dataclass(frozen=True)
class Verdict:
    """What becomes of a chunk whose run failed."""

    state: ChunkState
    failures: int
    failed_nodes: tuple[str, ...]

    @property
    def retry_seconds(self) -> float:
        """How long the chunk waits before it is claimed again."""
        return FAILURE_RETRY.seconds_after(self.failures)


def refusal_of(node_id: str) -> str:
    """The line in a chunk's failed nodes of one that cannot send to its addresses, so never gets it again."""
    return f"!{node_id}"


def after_failure(failures: int, failed_nodes: tuple[str, ...], node_id: str) -> Verdict:
    """Retry elsewhere until it has failed three times; then the chunk is failed for good."""
    nodes = failed_nodes if node_id in failed_nodes else (*failed_nodes, node_id)
    state = ChunkState.FAILED if failures + 1 >= MAX_FAILURES else ChunkState.PENDING
    return Verdict(state, failures + 1, nodes)
