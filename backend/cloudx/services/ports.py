"""What the services need from the outside, as Protocols; adapters implement them, bootstrap wires them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from cloudx.domain.access import ApiToken, Principal
from cloudx.domain.addresses import Address, AddressSet
from cloudx.domain.chunks import ChunkSpan, Lease, Verdict
from cloudx.domain.findings import Observation
from cloudx.domain.nodes import Heartbeat, Node, Preflight, Registration
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.domain.scopes import Exclusion, Scope
from cloudx.domain.tools import ScanType

from .dispatch_ports import Dispatches
from .records import (
    Ask,
    AttemptRecord,
    ChunkRecord,
    FindingKey,
    FindingRow,
    HostRow,
    Leased,
    Refusal,
    Renewed,
    RunReport,
    ScanRecord,
    Takers,
    Tally,
    WaitingScan,
    WorkerShare,
)
from .recut_ports import Recuts
from .scanner_port import Egress


class Scans(Protocol):
    """Scans, their counters and their idempotency keys."""

    def add(self, scan: Scan, spans: Iterable[ChunkSpan]) -> None:
        """Write a scan and all its chunks."""
        ...

    def get(self, scan_id: str) -> ScanRecord | None:
        """One scan with its tally."""
        ...

    def lock(self, scan_id: str) -> Scan | None:
        """One scan, locked until the transaction ends."""
        ...

    def save_state(self, scan: Scan) -> None:
        """Store status, times and error."""
        ...

    def page(
        self, *, limit: int, before_id: str | None = None, status: ScanStatus | None = None, tool: str | None = None
    ) -> list[ScanRecord]:
        """Newest first; `before_id` is the last id of the page before."""
        ...

    def waiting(self) -> list[WaitingScan]:
        """Scans with a chunk that nobody has, highest priority and then oldest first."""
        ...

    def delete(self, scan_id: str) -> bool:
        """Remove a scan with its chunks, attempts, findings and hosts; False when there was none."""
        ...

    def settled(self, scan_id: str | None = None) -> list[str]:
        """The scans, of all or of one, that are not final though every chunk of theirs is done or failed."""
        ...

    def tally(self, scan_id: str) -> Tally:
        """Where its chunks and units stand."""
        ...

    def remember_key(self, principal: str, key: str, body_sha256: str, scan_id: str) -> None:
        """Store an idempotency key. Raises Conflict when another request stored it first."""
        ...

    def recall_key(self, principal: str, key: str) -> tuple[str, str] | None:
        """(body_sha256, scan_id) of an earlier request with this key."""
        ...

    def count_by_status(self) -> dict[str, int]:
        """How many scans are in each status."""
        ...

    def cached_results(self, scan_id: str) -> bytes | None:
        """The inline results of a finished scan, as JSON, if they were built before."""
        ...

    def cache_results(self, scan_id: str, document: bytes) -> None:
        """Keep the inline results of a finished scan."""
        ...


class Claims(Protocol):
    """What a fleet does all the time: claims and renewals, each one statement where the database can.

    What they write is soft state: a database that crashes may take back the last of it (docs/adr/0009).
    """

    def claim(self, ask: Ask) -> Leased | Refusal:
        """Lease the next chunk in claim order, those that failed on this node last, at what is free of the share.

        The sum of the grants never passes the scan's rate, nor the node's limit: the lesser of the asked one and of
        what the node registered. The first claim makes the scan running.
        """
        ...

    def renew(self, worker_id: str, reports: Sequence[RunReport]) -> Renewed:
        """Extend the leases that are still the worker's, and store their progress."""
        ...

    def note_asking(self, worker_id: str, node_id: str, capabilities: tuple[str, ...], only_scan: str | None) -> None:
        """Remember that this worker has just asked for work and had none."""
        ...

    def takers_of(self, scan_id: str, scan_type: ScanType) -> Takers:
        """Who works on a scan, did so or asked for such work a moment ago, or was dispatched for it a moment ago."""
        ...


class Chunks(Protocol):
    """Chunks, leases and attempts. Every lease time is the database's clock."""

    def finish(self, lease: Lease, excluded_units: int) -> bool:
        """Mark done if the lease is still this attempt's; False otherwise."""
        ...

    def failures_of(self, lease: Lease) -> tuple[int, tuple[str, ...]] | None:
        """(failures, failed nodes) if the lease is still this attempt's."""
        ...

    def record_failure(self, lease: Lease, verdict: Verdict, error: str) -> None:
        """Store the verdict on a failed run."""
        ...

    def release(self, lease: Lease, outcome: str) -> bool:
        """Give a chunk back untouched; False when it is not this attempt's any more."""
        ...

    def expired(self) -> list[Lease]:
        """Leases that ran out, locked (those locked by others are skipped)."""
        ...

    def cancel_pending(self, scan_id: str) -> None:
        """Cancel what nobody holds; the holders of the rest learn at their next renewal that the scan is final."""
        ...

    def shares(self, scan_id: str) -> list[WorkerShare]:
        """Who did and does how much."""
        ...

    def records(self, scan_id: str, after: int, limit: int) -> list[ChunkRecord]:
        """Chunks by number, from the one behind `after` on."""
        ...

    def attempts(self, scan_id: str, first: int, last: int) -> list[AttemptRecord]:
        """The tries at the chunks `first` to `last`, in order."""
        ...

    def first_error(self, scan_id: str) -> str | None:
        """The last words of the first failed chunk."""
        ...


class Findings(Protocol):
    """What was found."""

    def store(self, lease: Lease, observations: Iterable[Observation], host_names: dict[str, str]) -> int:
        """Write a chunk's observations in bulk; returns how many findings."""
        ...

    def page(self, scan_id: str, after: FindingKey | None, limit: int) -> list[FindingRow]:
        """Findings in (ip, protocol, port) order; every page costs the same."""
        ...

    def hosts(self, scan_id: str, after_ip: str | None, limit: int) -> list[HostRow]:
        """Host observations in address order."""
        ...

    def hosts_between(self, scan_id: str, first_ip: str, last_ip: str) -> dict[str, HostRow]:
        """Host observations of an address span, by ip."""
        ...


class Nodes(Protocol):
    """The fleet as it reported itself."""

    def get(self, node_id: str) -> Node | None:
        """One node."""
        ...

    def all(self) -> list[Node]:
        """Every node, by id."""
        ...

    def save(self, node: Node) -> None:
        """Insert or replace."""
        ...

    def running_chunks(self) -> dict[str, int]:
        """How many different scans each node works on, by node id."""
        ...


class Tokens(Protocol):
    """API tokens, by the hash of their secret."""

    def add(self, token: ApiToken) -> None:
        """Keep a token's hash and rights."""
        ...

    def by_sha256(self, sha256: str) -> ApiToken | None:
        """The token with this hash."""
        ...

    def all(self) -> list[ApiToken]:
        """Every token, oldest first."""
        ...

    def delete(self, token_id: str) -> bool:
        """Remove one; False when there was none."""
        ...


class Policies(Protocol):
    """Scopes and exclusions. `version` grows with every change."""

    def version(self) -> int:
        """0 on a fresh database."""
        ...

    def lock(self) -> int:
        """The version, with every other change of the policy waiting until the transaction ends."""
        ...

    def scopes(self) -> list[Scope]:
        """Every scope, oldest first, expired ones included."""
        ...

    def exclusions(self) -> list[Exclusion]:
        """Every exclusion, oldest first."""
        ...

    def add_scope(self, scope: Scope) -> None:
        """Keep a scope."""
        ...

    def add_exclusion(self, exclusion: Exclusion) -> None:
        """Keep an exclusion."""
        ...

    def delete_scope(self, scope_id: str) -> bool:
        """Remove one; False when there was none."""
        ...

    def delete_exclusion(self, exclusion_id: str) -> bool:
        """Remove one; False when there was none."""
        ...


class Audit(Protocol):
    """Who asked what, kept for ever."""

    def record(self, principal: Principal, action: str, subject: str, **detail: Any) -> None:
        """Add an entry."""
        ...

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """The newest entries, newest first."""
        ...


class Ledger(Protocol):
    """One transaction on the database: nothing is kept unless `commit` is called."""

    @property
    def scans(self) -> Scans:
        """The repository of that name."""
        ...

    @property
    def claims(self) -> Claims:
        """The repository of that name."""
        ...

    @property
    def chunks(self) -> Chunks:
        """The repository of that name."""
        ...

    @property
    def dispatches(self) -> Dispatches:
        """The repository of that name."""
        ...

    @property
    def findings(self) -> Findings:
        """The repository of that name."""
        ...

    @property
    def nodes(self) -> Nodes:
        """The repository of that name."""
        ...

    @property
    def tokens(self) -> Tokens:
        """The repository of that name."""
        ...

    @property
    def policies(self) -> Policies:
        """The repository of that name."""
        ...

    @property
    def audit(self) -> Audit:
        """The repository of that name."""
        ...

    @property
    def recuts(self) -> Recuts:
        """The repository of that name."""
        ...

    def now(self) -> datetime:
        """The database's clock, UTC: nodes' own clocks may be off."""
        ...

    def commit(self) -> None:
        """Make everything since the start, or the last commit, last."""
        ...


class OpenLedger(Protocol):
    """Opens a transaction. Read-only ones never wait for a writer (SQLite has one writer at a time)."""

    def __call__(self, *, read_only: bool = False, at_once: bool = False) -> AbstractContextManager[Ledger]:
        """A transaction for the length of a `with` block; `at_once`: each call is one, where the database can."""
        ...


class Resolver(Protocol):
    """Names to addresses."""

    def resolve(self, host_name: str) -> list[Address]:
        """The addresses of a name, IPv4 first; [] when it has none."""
        ...


class TokenVerifier(Protocol):
    """Tells whom a signed token (JWT) of one issuer stands for."""

    def verify(self, token: str) -> Principal | None:
        """None when another issuer made it. Raises Unauthenticated, or DependencyUnavailable for want of the keys."""
        ...


class LatencyProbe(Protocol):
    """Measures how far away an address is."""

    def round_trips_ms(self, address: Address, count: int) -> list[float]:
        """One figure an answer, in milliseconds; [] when the address stays silent. Never waits over 3 seconds."""
        ...


class NodeReporter(Protocol):
    """Where a node registers and beats: the shared ledger, or the primary node over HTTP."""

    def register(self, said: Registration) -> None:
        """Say who the node is and what it can do."""
        ...

    def beat(self, said: Heartbeat) -> None:
        """Say how it is. Raises NodeNotRegistered when it must register again."""
        ...


class Machine(Protocol):
    """The machine a worker runs on."""

    def preflight(self) -> Preflight:
        """What it can do now, and what is wrong with it."""
        ...

    def egress_for(self, addresses: AddressSet) -> Egress:
        """How packets leave for these addresses. Raises CloudxError when they cannot."""
        ...
