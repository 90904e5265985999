"""The text that Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client import values as metric_values


def scrape() -> bytes:
    """All metrics, of all processes of this instance."""
    if metric_values.ValueClass.__name__ == "MmapedValue":  # prometheus_client's sign of several processes
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
