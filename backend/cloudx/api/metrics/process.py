"""This instance itself: its version, its rounds, its transactions on the database, and whether it dispatches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from cloudx import __version__
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.rounds import Rounds

from ..dependencies import Dependencies
from .fleet import publish_fleet, publish_freshness
from .ledger import add_totals, publish_state, start_counters

PUBLISH_SECONDS = 5.0

BUILD = Gauge(
    "cloudx_build_info",
    "1; what runs here",
    ["version", "executor", "database"],
    multiprocess_mode="mostrecent",
)
TRANSACTIONS = Histogram(
    "cloudx_db_transaction_seconds",
    "Time of the API's transactions on the database, with what it does between its statements",
    ["mode"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
)
DB_ERRORS = Counter("cloudx_db_errors_total", "Transactions of the API that failed, by the error's code", ["code"])
CONNECTIONS = Gauge(
    "cloudx_db_connections",
    "The API's connections to the database",
    ["state"],
    multiprocess_mode="livesum",
)
CONNECTIONS_LIMIT = Gauge(
    "cloudx_db_connections_limit", "How many they may open; one more waits for 10 s", multiprocess_mode="livesum"
)
ROUND_DONE_AT = Gauge(
    "cloudx_round_last_success_timestamp_seconds",
    "When something that this instance does again and again was done last",
    ["round"],
    multiprocess_mode="max",
)
ROUND_FAILURES = Counter("cloudx_round_failures_total", "Rounds that failed; the log says why", ["round"])
LEADERS = Gauge(
    "cloudx_dispatch_leaders", "Processes of this instance that dispatch scan workers", multiprocess_mode="livesum"
)
DISPATCH_FAILURES = Counter(
    "cloudx_dispatch_failures_total", "Steps of dispatching that Nomad or the database failed; the log says why"
)
_READS, _WRITES = TRANSACTIONS.labels("read"), TRANSACTIONS.labels("write")


def measured(open_ledger: OpenLedger) -> OpenLedger:
    """The same transactions, timed, and their failures counted."""

    @contextmanager
    def transaction(read_only: bool, at_once: bool) -> Iterator[Ledger]:
        started = time.perf_counter()
        try:
            with open_ledger(read_only=read_only, at_once=at_once) as ledger:
                yield ledger
        except DependencyUnavailable as error:
            DB_ERRORS.labels(error.code).inc()
            raise
        finally:
            (_READS if read_only else _WRITES).observe(time.perf_counter() - started)

    def open_measured(*, read_only: bool = False, at_once: bool = False) -> AbstractContextManager[Ledger]:
        return transaction(read_only, at_once)

    return open_measured


def round_ended(name: str, is_well: bool) -> None:
    """Note a round of this process."""
    if is_well:
        ROUND_DONE_AT.labels(name).set(time.time())
    else:
        ROUND_FAILURES.labels(name).inc()


def publish_to_metrics(dependencies: Dependencies) -> None:
    """Let the figures hear of every reading."""
    dependencies.fleet.on_refresh(publish_fleet)
    dependencies.read_state.listeners.append(publish_state)
    dependencies.count_totals.listeners.append(add_totals)


@dataclass
class ProcessFigures:
    """What each process says of itself, at intervals; nothing of it asks the database."""

    dependencies: Dependencies
    _failed_steps: int = field(default=0, init=False)

    def start(self) -> None:
        """Begin, after the fork."""
        settings = self.dependencies.settings
        database = "sqlite" if settings.uses_sqlite else "postgresql"
        BUILD.labels(settings.cloudx_version or __version__, settings.cloudx_executor.value, database).set(1)
        start_counters()
        DB_ERRORS.labels(DependencyUnavailable.code)
        for rounds in self.dependencies.rounds:
            ROUND_FAILURES.labels(rounds.name)
        Rounds("figures.process", self.publish, PUBLISH_SECONDS).start()

    def publish(self) -> None:
        """Set the gauges of this process."""
        in_use, idle, limit = self.dependencies.connections()
        CONNECTIONS.labels("in_use").set(in_use)
        CONNECTIONS.labels("idle").set(idle)
        CONNECTIONS_LIMIT.set(limit)
        self._publish_dispatching()
        fleet = self.dependencies.fleet
        publish_freshness(fleet.freshness(), fleet.last)

    def _publish_dispatching(self) -> None:
        dispatching = self.dependencies.dispatching
        if dispatching is not None:
            LEADERS.set(dispatching.is_leader)
            failed, self._failed_steps = dispatching.failed_steps - self._failed_steps, dispatching.failed_steps
            DISPATCH_FAILURES.inc(failed)
