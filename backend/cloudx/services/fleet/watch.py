"""Keep a view of the fleet in memory, encoded once, so that a request for it waits for nobody."""

from __future__ import annotations

import gzip
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from cloudx.domain.errors import CloudxError, DependencyUnavailable
from cloudx.domain.nodes import Node
from cloudx.services.ledger.ledger import OpenLedger

from .join import HEARTBEAT, JoinedNodes
from .sources import ClusterWatch, SourceFreshness

REFRESH_SECONDS = 1.0
MIN_GAP_SECONDS = 0.1  # many registrations at once cost one refresh
STALE_AFTER_SECONDS = 5.0
_GZIP_LEVEL = 1  # JSON of a fleet shrinks tenfold already; higher levels cost more than they save

log = logging.getLogger(__name__)
Encode = Callable[[Any], bytes]


@dataclass(frozen=True)
class FleetReading:
    """The fleet at one moment of the ledger's clock."""

    nodes: tuple[Node, ...]
    now: datetime
    scans_running: dict[str, int] = field(default_factory=dict)


class FleetSource(Protocol):
    """Where heartbeats are read; what Consul and Nomad know is joined to them."""

    def read(self) -> FleetReading:
        """The fleet now. Raises DependencyUnavailable."""
        ...


@dataclass(frozen=True)
class LedgerFleet:
    """The fleet by its heartbeats alone."""

    open_ledger: OpenLedger

    def read(self) -> FleetReading:
        """Implements FleetSource."""
        with self.open_ledger(read_only=True) as ledger:
            return FleetReading(tuple(ledger.nodes.all()), ledger.now(), ledger.nodes.scans_running())


@dataclass(frozen=True)
class EncodedNodes:
    """A list of nodes as it goes over the wire, plain and compressed, each with its strong ETag."""

    body: bytes

    @cached_property
    def _tag(self) -> str:
        return hashlib.blake2b(self.body, digest_size=16).hexdigest()

    @cached_property
    def gzipped(self) -> bytes:
        """The body compressed, at the first request that takes it so."""
        return gzip.compress(self.body, _GZIP_LEVEL, mtime=0)

    @property
    def etag(self) -> str:
        """Of the plain body."""
        return f'"{self._tag}"'

    @property
    def gzipped_etag(self) -> str:
        """Of the compressed body."""
        return f'"{self._tag}-gz"'


class FleetSnapshot:
    """One reading, shown; `problem` says why it is older than it should be."""

    def __init__(
        self,
        reading: FleetReading,
        encode: Encode,
        taken_at: float,
        problem: str | None = None,
        last: FleetSnapshot | None = None,
    ) -> None:
        self.reading = reading
        self.taken_at = taken_at
        self.problem = problem
        self.nodes = self._shown(last)
        self._encode = encode
        self._encoded: dict[tuple[str | None, str | None], EncodedNodes] = {}

    def _shown(self, last: FleetSnapshot | None) -> list[dict[str, Any]]:
        """Each node as shown; what the last snapshot of the same heartbeats shows already is taken from it."""
        reading, is_old = self.reading, self.problem is not None
        known: dict[int, dict[str, Any]] = {}
        if last is not None and last.reading.now is reading.now and (last.problem is not None) == is_old:
            known = {id(node): shown for node, shown in zip(last.reading.nodes, last.nodes, strict=True)}
        return [known.get(id(node)) or show_node(node, reading, is_old) for node in reading.nodes]

    def encoded(self, status: str | None = None, role: str | None = None) -> EncodedNodes:
        """The list of those with a status and a role, encoded at the first request for it."""
        found = self._encoded.get((status, role))
        if found is None:
            chosen = [n for n in self.nodes if status in (None, n["status"]) and role in (None, n["role"])]
            found = self._encoded[status, role] = EncodedNodes(self._encode(chosen))
        return found

    def node(self, node_id: str) -> dict[str, Any] | None:
        """One node as shown."""
        return next((node for node in self.nodes if node["node_id"] == node_id), None)

    def with_problem(self, problem: str) -> FleetSnapshot:
        """The same view, marked stale: the last good one is better than none."""
        return FleetSnapshot(self.reading, self._encode, self.taken_at, problem)


class FleetWatch:
    """Holds the newest snapshot; a thread started by `start` renews it, else each call does when it is old."""

    def __init__(
        self,
        source: FleetSource,
        encode: Encode,
        clock: Callable[[], float] = time.monotonic,
        cluster: ClusterWatch | None = None,
    ) -> None:
        self._source = source
        self._encode = encode
        self._clock = clock
        self._cluster = cluster or ClusterWatch()
        self._joined = JoinedNodes()
        self._heartbeats: FleetReading | None = None
        self._heartbeats_at = 0.0
        self._showing = threading.Lock()
        self._snapshot: FleetSnapshot | None = None
        self._last_problem: str | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[FleetSnapshot], None]] = []

    def on_refresh(self, listener: Callable[[FleetSnapshot], None]) -> None:
        """Have somebody told of every new snapshot (metrics, events)."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin refreshing in the background; after the fork, since threads do not survive one."""
        self._thread = threading.Thread(target=self._run, name="fleet-watch", daemon=True)
        self._thread.start()
        self._cluster.start(self.rejoin)

    def nudge(self) -> None:
        """Refresh at once: something changed."""
        self._wake.set()
        if self._thread is None:
            self._snapshot_is_due()

    def current(self) -> FleetSnapshot:
        """The newest snapshot. Raises DependencyUnavailable while there has never been one."""
        if self._thread is None:
            self._refresh_if_old()
        if self._snapshot is None:
            reason = self._last_problem or "it has not been read yet"
            raise DependencyUnavailable(f"The fleet's view is not there ({reason}). Try again shortly.")
        return self._snapshot

    def refresh(self) -> None:
        """Read the fleet anew; on failure keep the last view and say what is wrong with it."""
        started_at = self._clock()
        try:
            self._heartbeats, self._heartbeats_at = self._source.read(), started_at
            self._last_problem = None
            self.rejoin()
        except CloudxError as error:
            self._keep_last(error.message)
        except Exception:  # the thread has to outlive a defect, and the view has to say that there is one
            log.exception("fleet.refresh_failed")
            self._keep_last("Reading the fleet failed; the API's log says why.")

    def rejoin(self) -> None:
        """Show the last heartbeats with what Consul and Nomad say now; waits for no database."""
        with self._showing:
            heartbeats = self._heartbeats
            if heartbeats is None:
                return
            joined = replace(heartbeats, nodes=self._joined.join(heartbeats.nodes, self._cluster.view()))
            snapshot = FleetSnapshot(joined, self._encode, self._heartbeats_at, self._last_problem, self._snapshot)
            self._snapshot = snapshot
        for listener in self._listeners:
            listener(snapshot)

    def _keep_last(self, problem: str) -> None:
        self._last_problem = problem
        if self._snapshot is not None:
            self._snapshot = self._snapshot.with_problem(problem)

    def freshness(self) -> tuple[str, str]:
        """(active, inactive or error; the reason)."""
        sources = self.sources()
        for name, source in sources.items():
            if source.status == "error":
                return "error", source.reason if name == HEARTBEAT else f"{name.capitalize()}: {source.reason}"
        snapshot = self._snapshot
        if snapshot is None or not snapshot.nodes:
            return "inactive", "No node has registered. Start one with `cloudx worker`."
        return "active", f"{len(snapshot.nodes)} nodes, seen {sources[HEARTBEAT].age_seconds:.1f} s ago."

    def sources(self) -> dict[str, SourceFreshness]:
        """How fresh each source of the view is, by its name."""
        if self._thread is None:
            self._refresh_if_old()
        return {HEARTBEAT: self._heartbeat_freshness(), **self._cluster.freshness()}

    def _heartbeat_freshness(self) -> SourceFreshness:
        if self._heartbeats is None:
            reason = self._last_problem or "The fleet has not been read yet; ask again in a second."
            return SourceFreshness("error", None, reason)
        age_seconds = round(self._clock() - self._heartbeats_at, 3)
        if self._last_problem is not None:
            return SourceFreshness("error", age_seconds, self._last_problem)
        if age_seconds > STALE_AFTER_SECONDS:
            return SourceFreshness("error", age_seconds, f"The last view of the fleet is {age_seconds:.0f} s old.")
        return SourceFreshness("active", age_seconds, f"{len(self._heartbeats.nodes)} nodes.")

    def _refresh_if_old(self) -> None:
        if self._snapshot is None or self._clock() - self._snapshot.taken_at >= REFRESH_SECONDS:
            self.refresh()

    def _snapshot_is_due(self) -> None:
        """Without a thread there is nobody to wake: the next call finds no fresh view and reads it."""
        if self._snapshot is not None:
            self._snapshot.taken_at = self._clock() - REFRESH_SECONDS

    def _run(self) -> None:
        while True:
            self._wake.clear()
            self.refresh()
            time.sleep(MIN_GAP_SECONDS)
            self._wake.wait(REFRESH_SECONDS - MIN_GAP_SECONDS)


def show_node(node: Node, reading: FleetReading, is_old: bool = False) -> dict[str, Any]:
    """A node as GET /api/nodes shows it."""
    return {
        "node_id": node.node_id,
        "hostname": node.hostname,
        "ip": node.ip,
        "role": node.role.value,
        "capabilities": node.capabilities,
        "version": node.version,
        "status": node.status(reading.now).value,
        "last_seen": node.last_seen,
        "cpu": node.cpu,
        "mem": node.mem,
        "loadavg": node.loadavg,
        "updated_at": node.updated_at,
        "checks": [{"id": c.id, "name": c.name, "status": c.status.value, "output": c.output} for c in node.checks],
        "rate_limit_pps": node.rate_limit_pps,
        "sources": node.sources,
        "stale": is_old or node.is_stale(reading.now),
        "scans_running": reading.scans_running.get(node.node_id, 0),
    }
