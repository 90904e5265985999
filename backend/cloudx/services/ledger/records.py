"""Plain records that the ledger's repositories return."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from cloudx.domain.chunks import ChunkSpan, ChunkState, Lease
from cloudx.domain.scans import Scan
from cloudx.domain.timing.holds import Hold
from cloudx.domain.tools import ScanType

from .summaries import ScanSummary as ScanSummary


@dataclass(frozen=True)
class Tally:
    """Where a scan's chunks and units stand. `in_flight_units` is an estimate of what leased chunks have sent."""

    chunks_total: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    chunks_leased: int = 0
    chunks_cancelled: int = 0
    completed_units: int = 0
    failed_units: int = 0
    excluded_units: int = 0  # those excluded after submit; the scan itself knows the earlier ones
    in_flight_units: float = 0.0

    @property
    def chunks_pending(self) -> int:
        """Chunks that wait for a worker."""
        finished = self.chunks_done + self.chunks_failed + self.chunks_cancelled
        return self.chunks_total - finished - self.chunks_leased


@dataclass(frozen=True)
class ScanRecord:
    """A scan together with its tally."""

    scan: Scan
    tally: Tally


@dataclass(frozen=True)
class OpenHold:
    """What keeps a scan that is not over from running."""

    scan_id: str
    hold: Hold


@dataclass(frozen=True)
class SummaryRecord:
    """A summary together with its tally."""

    scan: ScanSummary
    tally: Tally


ShownScan = Scan | ScanSummary


@dataclass(frozen=True)
class WaitingScan:
    """A scan with pending chunks: what a claim for a node needs to choose a scan and a rate."""

    id: str
    type: ScanType
    rate_pps: int
    chunks_open: int  # pending or sending
    priority: int = 0
    owner: str = ""  # who submitted it
    held_pps: int = 0  # on the node
    served_at: datetime | None = None  # when a chunk of it last changed hands there


@dataclass(frozen=True)
class Holder:
    """A scan that nodes send for now, and at which rate together."""

    scan_id: str
    owner: str
    priority: int
    granted_pps: int


@dataclass(frozen=True)
class Asking:
    """A worker without work, and how long it rests before it asks again: until then it counts as one that asks."""

    worker_id: str
    node_id: str
    capabilities: tuple[str, ...]
    only_scan: str | None
    rests_seconds: float = 0.0


@dataclass(frozen=True)
class ClaimRequest:
    """A worker's request for a chunk: the share of the rate it computed, and the most its node may send."""

    scan_id: str
    worker_id: str
    node_id: str
    share_pps: int
    node_limit_pps: int
    has_prefix_caps: bool = False  # the scan's


class Refusal(StrEnum):
    """Why a claim got no chunk."""

    NO_RATE = "no_rate"  # other chunks hold the whole rate of the scan
    NODE_FULL = "node_full"  # the node already sends at its limit
    NO_CHUNK = "no_chunk"  # every chunk is leased or waits after a failure
    OVER = "over"  # the scan is final, or deleted


@dataclass(frozen=True)
class Leased:
    """A lease, with the policy version and the time that its transaction saw."""

    lease: Lease
    policy_version: int
    now: datetime  # the ledger's clock


@dataclass(frozen=True)
class Participants:
    """The nodes that share a scan's rate, as a claim for one of them sees them: it stands apart from the others.

    A node takes part that works on the scan, or did so or requested such work just now; workers are on their way to
    others. A limit of None: the node registered none.
    """

    others: tuple[tuple[int | None, int], ...] = ()  # each limit, and how many nodes have it
    sent_for: int = 0
    is_here: bool = False  # the node itself takes part
    limit_here_pps: int | None = None
    granted_here_pps: int = 0
    granted_pps: int = 0  # on all nodes

    @property
    def limits_pps(self) -> list[int | None]:
        """The limit of this node and of each other participant; None where it is unknown or a worker is on its way."""
        here_and_others = [self.limit_here_pps, *(limit for limit, nodes in self.others for _ in range(nodes))]
        return here_and_others + [None] * max(0, self.sent_for - len(here_and_others))


@dataclass(frozen=True)
class Queue:
    """The scans with a pending chunk, as a claim for a node sees them; highest priority first, then oldest."""

    scans: tuple[WaitingScan, ...] = ()
    asked_for: frozenset[str] = frozenset()  # those of which a worker of them alone has just requested a chunk there
    participants: dict[str, Participants] = field(default_factory=dict)  # by scan, of those that were read with it


@dataclass(frozen=True)
class NodeLoad:
    """What a node sends now, over all scans, and how many runs of one scan it has."""

    granted_pps: int
    runs: int


@dataclass(frozen=True)
class RunReport:
    """A run's progress, reported at renewal."""

    lease: Lease
    sent_share: float
    sending: bool


@dataclass(frozen=True)
class Renewed:
    """For each report, in order: does the run still hold its chunk of an open scan?"""

    held: tuple[bool, ...]
    policy_version: int
    now: datetime


class Settled(IntEnum):
    """What became of the end of a lease; false where it was not this attempt's any more."""

    LOST = 0
    MORE_WAITS = 1  # a chunk of the scan waits for a worker, so the scan is not over
    MAY_BE_LAST = 2


@dataclass(frozen=True)
class WorkerShare:
    """What one node has done for a scan; `rate_pps` is what it is granted now."""

    node_id: str
    chunks_done: int
    rate_pps: int


@dataclass(frozen=True)
class ChunkRecord:
    """A chunk as the proof shows it."""

    span: ChunkSpan
    state: ChunkState
    attempt: int
    node_id: str | None
    excluded_units: int
    failed_units: int  # of a failed chunk all, of a done one what its run did not probe
    last_error: str | None
    sent_share: float = 0.0  # of its probes, when its last run ended or reported (0-1)


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt at a chunk: node, worker, times and outcome (None while it runs).

    The outcomes: done, failed, lost, released, cancelled, stopped, recut: it was split into several meanwhile, and
    unreachable: the node cannot send to its addresses, and others get it.
    """

    number: int
    attempt: int
    node_id: str
    worker_id: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    packets_sent: int | None = None  # as the kernel counted them; None where it did not, or the worker was lost


@dataclass(frozen=True)
class FindingRow:
    """A stored finding."""

    scan_id: str
    ip: str
    protocol: str
    port: int
    state: str
    service: str | None
    hostname: str | None
    observed_at: datetime
    node_id: str
    extra: dict[str, Any]

    @property
    def key(self) -> FindingKey:
        """Where it stands in the order of pages."""
        return self.ip, self.protocol, self.port


@dataclass(frozen=True)
class HostRow:
    """A stored host observation."""

    ip: str
    state: str
    hostname: str | None
    os_name: str | None
    extra: dict[str, Any]
    observed_at: datetime


@dataclass(frozen=True)
class KeptResults:
    """The inline results of a scan that is over: compressed JSON, its size before that, and whether there is more."""

    packed: bytes
    size: int
    truncated: bool


FindingKey = tuple[str, str, int]  # ip, protocol, port: the order of result pages
