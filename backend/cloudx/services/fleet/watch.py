"""Keep a snapshot of the fleet in memory, so that a request for it waits for nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cloudx.domain.errors import CloudxError, DependencyUnavailable
from cloudx.domain.nodes import Node

from .join import HEARTBEAT, JoinedNodes
from .snapshot import FleetReading, FleetSnapshot, take_snapshot
from .sources import ClusterWatch, SourceFreshness

REFRESH_SECONDS = 1.0
LARGE_FLEET_REFRESH_SECONDS = 3.0  # reading thousands of rows each second would cost more than their heartbeats
LARGE_FLEET = 1_000
MIN_GAP_SECONDS = 0.1  # many registrations at once cost one refresh
STALE_AFTER_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FleetFreshness:
    """How fresh the snapshot is (active, inactive or error), why, and the same of each source by its name."""

    status: str
    reason: str
    sources: dict[str, SourceFreshness]


class FleetSource(Protocol):
    """Where heartbeats are read; what Consul and Nomad know is joined to them."""

    def read(self) -> FleetReading:
        """The fleet now. Raises DependencyUnavailable."""
        ...


class FleetWatch:
    """Holds the newest snapshot; a thread started by `start` renews it, else each call does when it is old."""

    def __init__(
        self,
        source: FleetSource,
        clock: Callable[[], float] = time.monotonic,
        cluster: ClusterWatch | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._cluster = cluster or ClusterWatch()
        self._joined = JoinedNodes()
        self._heartbeats: FleetReading | None = None
        self._heartbeats_at = 0.0
        self._joining = threading.Lock()
        self._snapshot: FleetSnapshot | None = None
        self._last_problem: str | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._listeners: list[Callable[[FleetSnapshot], None]] = []

    def on_refresh(self, listener: Callable[[FleetSnapshot], None]) -> None:
        """Call the listener with every new snapshot (metrics, events)."""
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
            self._let_expire()

    def current(self) -> FleetSnapshot:
        """The newest snapshot. Raises DependencyUnavailable while there has never been one."""
        if self._thread is None:
            self._refresh_if_old()
        if self._snapshot is None:
            reason = self._last_problem or "it has not been read yet"
            raise DependencyUnavailable(f"The fleet's view is not there ({reason}). Try again shortly.")
        return self._snapshot

    @property
    def last(self) -> FleetSnapshot | None:
        """The newest snapshot, where there is one. Reads nothing."""
        return self._snapshot

    @property
    def size(self) -> int:
        """How many nodes the newest snapshot has; 0 before there is one. Reads nothing."""
        return len(self._snapshot.nodes) if self._snapshot is not None else 0

    def by_heartbeat(self, node_id: str) -> Node | None:
        """A node as its heartbeats alone told, at the last reading; None where there was none. Reads nothing."""
        return self._heartbeats.by_id.get(node_id) if self._heartbeats is not None else None

    def refresh(self) -> None:
        """Read the fleet again; on failure keep the last snapshot and say what is wrong with it."""
        started_at = self._clock()
        try:
            self._heartbeats, self._heartbeats_at = self._source.read(), started_at
            self._last_problem = None
            self.rejoin()
        except CloudxError as error:
            self._keep_last(error.message)
        except Exception:  # the thread has to outlive a defect, and the snapshot has to say that there is one
            log.exception("fleet.refresh_failed")
            self._keep_last("Reading the fleet failed; the API's log says why.")

    def rejoin(self) -> None:
        """Join the last heartbeats with what Consul and Nomad say now; waits for no database."""
        with self._joining:
            heartbeats = self._heartbeats
            if heartbeats is None:
                return
            joined = replace(heartbeats, nodes=self._joined.join(heartbeats.nodes, self._cluster.snapshot()))
            snapshot = take_snapshot(joined, self._heartbeats_at, self._last_problem, self._snapshot)
            self._snapshot = snapshot
        for listener in self._listeners:
            listener(snapshot)

    def _keep_last(self, problem: str) -> None:
        self._last_problem = problem
        if self._snapshot is not None:
            self._snapshot = self._snapshot.with_problem(problem)

    def freshness(self) -> FleetFreshness:
        """How fresh the snapshot and its sources are; the first source in error speaks for all."""
        if self._thread is None:
            self._refresh_if_old()
        sources = {HEARTBEAT: self._heartbeat_freshness(), **self._cluster.freshness()}
        for name, source in sources.items():
            if source.status == "error":
                reason = source.reason if name == HEARTBEAT else f"{name.capitalize()}: {source.reason}"
                return FleetFreshness("error", reason, sources)
        snapshot = self._snapshot
        if snapshot is None or not snapshot.nodes:
            return FleetFreshness("inactive", "No node has registered. Start one with `cloudx worker`.", sources)
        seen = f"{len(snapshot.nodes)} nodes, seen {sources[HEARTBEAT].age_seconds:.1f} s ago."
        return FleetFreshness("active", seen, sources)

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

    def _refresh_seconds(self) -> float:
        return LARGE_FLEET_REFRESH_SECONDS if self.size > LARGE_FLEET else REFRESH_SECONDS

    def _refresh_if_old(self) -> None:
        if self._snapshot is None or self._clock() - self._snapshot.taken_at >= REFRESH_SECONDS:
            self.refresh()

    def _let_expire(self) -> None:
        """There is no thread to wake: the next call finds an old snapshot and reads the fleet."""
        if self._snapshot is not None:
            self._snapshot = replace(self._snapshot, taken_at=self._clock() - REFRESH_SECONDS)

    def _run(self) -> None:
        while True:
            self._wake.clear()
            self.refresh()
            time.sleep(MIN_GAP_SECONDS)
            self._wake.wait(self._refresh_seconds() - MIN_GAP_SECONDS)
