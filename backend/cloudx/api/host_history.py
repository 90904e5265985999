"""The last minutes of this machine's cpu, memory, disk and network use, in percent."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import psutil

SAMPLE_SECONDS = 2.0
KEPT_SAMPLES = 150  # five minutes
FIGURES = ("cpu", "memory", "disk", "network")
ASSUMED_LINK_MBIT = 1000  # where the kernel does not say
SPIKE_DEVIATIONS = 3.0
SPIKE_PERCENT = 15.0  # over the mean at least, or every flicker of an idle machine would be a spike
_SPIKE_WINDOW = 30


class HostHistory:
    """Samples in a thread once started; without one, whenever somebody asks and the last sample is old."""

    def __init__(self) -> None:
        self._series: dict[str, deque[dict[str, Any]]] = {name: deque(maxlen=KEPT_SAMPLES) for name in FIGURES}
        self._last_at = 0.0
        self._last_bytes = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin sampling; after the fork, since threads do not survive one."""
        self._thread = threading.Thread(target=self._run, name="host-history", daemon=True)
        self._thread.start()

    def shown(self) -> dict[str, list[dict[str, Any]]]:
        """Each series, oldest first."""
        if self._thread is None and time.monotonic() - self._last_at >= SAMPLE_SECONDS:
            self.sample()
        return {name: list(series) for name, series in self._series.items()}

    def sample(self) -> None:
        """Take one sample of everything."""
        timestamp_ms = int(time.time() * 1000)
        figures = {
            "cpu": psutil.cpu_percent(),
            "memory": psutil.virtual_memory().percent,
            "disk": psutil.disk_usage("/").percent,
            "network": self._network_percent(),
        }
        for name, value in figures.items():
            series = self._series[name]
            spike = is_spike(value, [point["value"] for point in list(series)[-_SPIKE_WINDOW:]])
            series.append({"value": round(value, 1), "timestamp": timestamp_ms, "isSpike": spike})

    def _network_percent(self) -> float:
        """Bytes in and out since the last sample, as a share of what the links can carry."""
        now, counters = time.monotonic(), psutil.net_io_counters()
        moved = counters.bytes_sent + counters.bytes_recv if counters else 0
        elapsed, before = now - self._last_at, self._last_bytes
        self._last_at, self._last_bytes = now, moved
        if before == 0 or elapsed <= 0:
            return 0.0
        return min(100.0, max(0, moved - before) / elapsed / _link_bytes_per_second() * 100)

    def _run(self) -> None:
        while True:
            self.sample()
            time.sleep(SAMPLE_SECONDS)


def is_spike(value: float, before: Sequence[float]) -> bool:
    """True when a value stands out of those before it."""
    if len(before) < 5:
        return False
    mean, deviation = statistics.fmean(before), statistics.pstdev(before)
    return value - mean > max(SPIKE_PERCENT, SPIKE_DEVIATIONS * deviation)


def _link_bytes_per_second() -> float:
    speeds = [nic.speed for name, nic in psutil.net_if_stats().items() if nic.isup and name != "lo"]
    return (sum(speed for speed in speeds if 0 < speed < 400_000) or ASSUMED_LINK_MBIT) * 125_000
