"""What is kept of a scan: itself, its claims, its chunks and what was found, as Protocols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from cloudx.domain.chunks import ChunkSpan, Lease, Verdict
from cloudx.domain.coverage import Unprobed
from cloudx.domain.findings import Found
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.tools import ScanType

from .records import (
    Asking,
    AttemptRecord,
    ChunkRecord,
    ClaimRequest,
    FindingKey,
    FindingRow,
    Holder,
    HostRow,
    KeptResults,
    Leased,
    NodeLoad,
    OpenHold,
    Participants,
    Queue,
    Refusal,
    Renewed,
    RunReport,
    ScanRecord,
    ScanSummary,
    Settled,
    SummaryRecord,
    Tally,
    WorkerShare,
)


class Scans(Protocol):
    """Scans, their counters and their idempotency keys."""

    def add(self, scan: Scan, spans: Iterable[ChunkSpan]) -> None:
        """Write a scan and all its chunks."""
        ...

    def get(self, scan_id: str) -> ScanRecord | None:
        """One scan with its tally."""
        ...

    def lock(self, scan_id: str) -> Scan | None:
        """One scan, locked until the transaction ends, after its second stage where it has one."""
        ...

    def save_state(self, scan: Scan) -> None:
        """Store status, times and error."""
        ...

    def save_hold(self, scan: Scan) -> None:
        """Store what keeps it from running."""
        ...

    def open_holds(self, *, only_with_hours: bool) -> list[OpenHold]:
        """The holds of the scans that are not over: of all, or of those that have hours."""
        ...

    def page(
        self, *, limit: int, before_id: str | None = None, status: ScanStatus | None = None, tool: str | None = None
    ) -> list[SummaryRecord]:
        """Newest first; `before_id` is the last id of the page before."""
        ...

    def summary(self, scan_id: str) -> ScanSummary | None:
        """One scan without what may be megabytes of it."""
        ...

    def count(self, *, status: ScanStatus | None = None, tool: str | None = None) -> int:
        """How many there are on all pages."""
        ...

    def holders(self, limit: int) -> list[Holder]:
        """The open scans that nodes send for now; those that go first and hold most come first."""
        ...

    def delete(self, scan_id: str) -> bool:
        """Remove a scan with its chunks, attempts, findings and hosts; False when there was none."""
        ...

    def finishable(self, scan_id: str | None = None) -> list[str]:
        """Scans (all of them, or one) that are not final although each of their chunks is done or failed."""
        ...

    def over_budget(self, now: datetime) -> list[str]:
        """Running scans that have run for as long as their budget; while they were held they did not."""
        ...

    def tally(self, scan_id: str) -> Tally:
        """Where its chunks and units stand; zeros where there is no such scan."""
        ...

    def remember_key(self, principal: str, key: str, body_sha256: str, scan_id: str) -> None:
        """Store an idempotency key. Raises Conflict when another request stored it first."""
        ...

    def recall_key(self, principal: str, key: str) -> tuple[str, str] | None:
        """(body_sha256, scan_id) of an earlier request with this key."""
        ...

    def excluded_names(self) -> set[str]:
        """The names that open scans exclude by themselves."""
        ...

    def results_sizes(self, scan_ids: Sequence[str]) -> dict[str, int]:
        """The bytes of JSON of the inline results that are kept, by scan."""
        ...

    def kept_results(self, scan_ids: Sequence[str]) -> dict[str, KeptResults]:
        """The inline results that are kept, by scan."""
        ...

    def finish(
        self, scan_id: str, status: ScanStatus, error: str | None, results: KeptResults, lease: Lease | None = None
    ) -> bool:
        """End a scan whose chunks are all done or failed, with its inline results.

        False, having written nothing, where it has ended or is not finishable. A worker names a lease that it settled.
        """
        ...

    def fail(self, lease: Lease, error: str) -> bool:
        """Fail an open scan and cancel what is pending of it; False if it is over, or the lease lost."""
        ...

    def keep_results(self, scan_id: str, results: KeptResults, lease: Lease | None = None) -> bool:
        """Keep the inline results of a scan that lacks them (`lacks_results`); False where it does not.

        A worker names a lease that it settled.
        """
        ...

    def lacks_results(self, scan_id: str) -> bool:
        """True when nothing can be added to what was found, and its inline results are not kept yet."""
        ...


class Claims(Protocol):
    """What a fleet does all the time: claims and renewals, each one statement where the database can.

    What they write is soft state: a database that crashes may lose the last of it (docs/adr/0009).
    """

    def claim(self, request: ClaimRequest) -> Leased | Refusal:
        """Lease the next chunk in claim order, chunks that failed on this node last, at what is free of the share.

        The sum of the grants never passes the scan's rate, nor the node's limit: the lesser of the request's and
        what the node registered. The first claim makes the scan running.
        """
        ...

    def renew(self, worker_id: str, reports: Sequence[RunReport]) -> Renewed:
        """Extend the leases that are still the worker's, and store their progress."""
        ...

    def note_asking(self, asking: Asking) -> None:
        """Remember that this worker has just requested a chunk and got none."""
        ...

    def queue(self, node_id: str, only_scan: str | None) -> Queue:
        """The scans with a pending chunk, for a worker of all scans or of one."""
        ...

    def participants_of(self, scan_id: str, scan_type: ScanType, node_id: str) -> Participants:
        """The nodes that work on a scan, did so or requested it just now, and the workers just dispatched for it."""
        ...

    def load_of(self, scan_id: str, node_id: str) -> NodeLoad:
        """What a node sends over all scans, and its runs of this one that send."""
        ...


class Chunks(Protocol):
    """Chunks, leases and attempts. Every lease time is the database's clock."""

    def finish(
        self, lease: Lease, excluded_units: int, unprobed: Unprobed | None = None, packets_sent: int | None = None
    ) -> Settled:
        """Mark done if the lease is still this attempt's.

        What the run did not probe counts as failed. `packets_sent` is what the kernel counted in this attempt, None
        where it did not.
        """
        ...

    def stop(self, lease: Lease, sent_share: float, reason: str, packets_sent: int | None = None) -> Settled:
        """Cancel a chunk of a scan that is over, keeping how much of it was sent (0-1); lost where the scan goes on."""
        ...

    def failures_of(self, lease: Lease) -> tuple[int, tuple[str, ...]] | None:
        """(failures, failed nodes) if the lease is still this attempt's."""
        ...

    def record_failure(self, lease: Lease, verdict: Verdict, error: str, packets_sent: int | None = None) -> None:
        """Store the verdict on a failed run."""
        ...

    def refuse(self, lease: Lease, failed_nodes: Sequence[str]) -> None:
        """Give a chunk back that cannot be run here; `failed_nodes` has the refusals too (domain/chunks.py)."""
        ...

    def release(self, lease: Lease, outcome: str) -> Settled:
        """Give a chunk back untouched."""
        ...

    def note_source(self, lease: Lease, source_ip: str) -> bool:
        """Keep the address that the attempt's packets come from; what was noted first stays. False if it is lost."""
        ...

    def expired(self) -> list[Lease]:
        """Leases that ran out, locked (those locked by others are skipped)."""
        ...

    def cancel_pending(self, scan_id: str) -> None:
        """Cancel the chunks without a lease; the other workers learn at their next renewal that the scan is final."""
        ...

    def shares(self, scan_id: str) -> list[WorkerShare]:
        """What each node has done and does for a scan."""
        ...

    def records(self, scan_id: str, after: int, limit: int) -> list[ChunkRecord]:
        """Chunks by number, those after `after`."""
        ...

    def attempts(self, scan_id: str, first: int, last: int) -> list[AttemptRecord]:
        """The tries at the chunks `first` to `last`, in order."""
        ...

    def packets_sent(self, scan_id: str) -> int | None:
        """What the kernel counted over all attempts, those that failed too; None where it counted none."""
        ...

    def unprobed(self, scan_id: str, limit: int) -> list[tuple[int, str]]:
        """(failed units, reason) of done chunks of which a part was not probed, by number."""
        ...

    def not_reached(self, scan_id: str) -> int:
        """The failed units that were given up at a time limit that the scan asked for."""
        ...

    def first_error(self, scan_id: str) -> str | None:
        """The last words of the first failed chunk."""
        ...


class Findings(Protocol):
    """What was found."""

    def store(self, lease: Lease, findings: Iterable[Found]) -> int:
        """Write a chunk's findings in bulk; returns how many findings."""
        ...

    def page(self, scan_id: str, after: FindingKey | None, limit: int) -> list[FindingRow]:
        """Findings in (ip, protocol, port) order; every page costs the same."""
        ...

    def hosts(self, scan_id: str, after_ip: str | None, limit: int) -> list[HostRow]:
        """Host findings in address order."""
        ...
