"""What the API was asked, and how it answered."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Counter, Histogram

REQUESTS = Counter("cloudx_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "cloudx_http_request_seconds",
    "Time to the first byte of the answer",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
)
SUBMITTED = Counter("cloudx_scans_submitted_total", "Scans accepted", ["tool"])
HEARTBEATS = Counter("cloudx_heartbeats_total", "Heartbeats of nodes that the API has stored")


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
