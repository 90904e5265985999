"""Prometheus metrics, right across gunicorn's workers: each writes its own files, and a scrape adds them up."""

from __future__ import annotations

import time
from collections import Counter as Tally
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client import values as metric_values

from cloudx.domain.nodes import NodeStatus
from cloudx.domain.scans import ScanStatus
from cloudx.services.fleet.snapshot import FleetSnapshot
from cloudx.services.ledger.ledger import OpenLedger

COUNT_SCANS_SECONDS = 5.0

REQUESTS = Counter("cloudx_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "cloudx_http_request_seconds",
    "Time to the first byte of the answer",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
)
SUBMITTED = Counter("cloudx_scans_submitted_total", "Scans accepted", ["tool"])
# Every worker reads the same ledger, so the value set last is the right one.
SCANS = Gauge("cloudx_scans", "Scans by status", ["status"], multiprocess_mode="mostrecent")
NODES = Gauge("cloudx_nodes", "Nodes by status", ["status"], multiprocess_mode="mostrecent")
FLEET_FRESH = Gauge("cloudx_fleet_view_timestamp_seconds", "When the fleet was read", multiprocess_mode="mostrecent")


@lru_cache(maxsize=512)
def _counter_of(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, status)


@lru_cache(maxsize=128)
def _histogram_of(route: str) -> Histogram:
    return SECONDS.labels(route)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer."""
    _counter_of(method, route, status).inc()
    _histogram_of(route).observe(seconds)


def publish_fleet(snapshot: FleetSnapshot) -> None:
    """Set the fleet's gauges from a new snapshot."""
    by_status = Tally(fleet_node.status for fleet_node in snapshot.nodes)
    for status in NodeStatus:
        NODES.labels(status.value).set(by_status[status])
    FLEET_FRESH.set(time.time())


class ScanCounts:
    """Counts scans for the gauges, when a scrape finds them old."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self._open_ledger = open_ledger
        self._counted_at = float("-inf")

    def publish(self) -> None:
        """Count scans by status, at most each COUNT_SCANS_SECONDS."""
        if time.monotonic() - self._counted_at < COUNT_SCANS_SECONDS:
            return
        self._counted_at = time.monotonic()
        with self._open_ledger(read_only=True) as ledger:
            counts = ledger.scans.count_by_status()
        for status in ScanStatus:
            SCANS.labels(status.value).set(counts.get(status.value, 0))


def scrape() -> bytes:
    """The text of all metrics."""
    if metric_values.ValueClass.__name__ == "MmapedValue":  # prometheus_client's sign of several processes
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
