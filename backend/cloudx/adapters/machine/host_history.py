"""The last minutes of this machine's cpu, memory, disk and network use: one history for all of gunicorn's workers.

It lies in memory that is made before the fork, so that every worker maps the same pages (forked_memory.py). One worker
samples.
"""

from __future__ import annotations

import logging
import mmap
import os
import statistics
import struct
import threading
import time
from collections.abc import Sequence

import psutil
from typing_extensions import override

from cloudx.adapters.machine.forked_memory import ForkedMemory
from cloudx.services.fleet.ports import HostHistory, HostSample

SAMPLE_SECONDS = 2.0
KEPT_SAMPLES = 150  # five minutes
FIGURES = ("cpu", "memory", "disk", "network")
ASSUMED_LINK_MBIT = 1000  # where the kernel does not say
SPIKE_DEVIATIONS = 3.0
SPIKE_PERCENT = 15.0  # over the mean at least, or every flicker of an idle machine would be a spike
_SPIKE_WINDOW = 30
_SPIKE_LEAST_SAMPLES = 5

log = logging.getLogger(__name__)


class SharedHostHistory(HostHistory):
    """Make it before the fork. Without `start` it samples when it is read and its last sample is old."""

    def __init__(self) -> None:
        self._ring = _SharedRing()
        self._meter = _Meter()
        self._is_started = False
        self._sampled_at = 0.0
        self.sample()

    @override
    def start(self) -> None:
        self._is_started = True
        threading.Thread(target=self._run, name="host-history", daemon=True).start()

    @override
    def samples(self) -> list[HostSample]:
        if not self._is_started and time.monotonic() - self._sampled_at >= SAMPLE_SECONDS:
            self.sample()
        return self._ring.newest_first()

    def sample(self) -> None:
        """Take one sample of everything, over the time since the last one of this process."""
        self._sampled_at = time.monotonic()
        percent = self._meter.percent()
        before = self._ring.newest_first()[:_SPIKE_WINDOW]
        spikes = {name for name in FIGURES if is_spike(percent[name], [sample.percent[name] for sample in before])}
        self._ring.append(HostSample(time.time_ns() // 1_000_000, percent, frozenset(spikes)))

    def _run(self) -> None:
        while not self._ring.is_mine():
            time.sleep(SAMPLE_SECONDS)
        self._meter.percent()  # the next sample covers the time from here on, not the hours since this process began
        while True:
            time.sleep(SAMPLE_SECONDS)
            try:
                self.sample()
            except Exception:  # the thread has to outlive a moment in which the kernel does not tell
                log.exception("host_history.sample_failed")


class _SharedRing(ForkedMemory):
    """The newest samples in memory that forked processes share: a counter, and a slot for each sample.

    One process writes: first a slot, then the counter. A reader reads the counter first and never looks at the slot
    that is written next, which is a spare one.
    """

    _COUNT = struct.Struct("=Q")  # samples ever taken
    _SLOT = struct.Struct(f"=q{len(FIGURES)}d{len(FIGURES)}?")  # Unix milliseconds, percents, spikes
    _SLOTS = KEPT_SAMPLES + 1

    def __init__(self) -> None:
        size = self._COUNT.size + self._SLOTS * self._SLOT.size
        super().__init__("host-history")
        os.ftruncate(self.file, size)
        self._memory = mmap.mmap(self.file, size)

    def append(self, sample: HostSample) -> None:
        (count,) = self._COUNT.unpack_from(self._memory)
        percents = [sample.percent[name] for name in FIGURES]
        spikes = [name in sample.spikes for name in FIGURES]
        self._SLOT.pack_into(self._memory, self._offset(count), sample.unix_ms, *percents, *spikes)
        self._COUNT.pack_into(self._memory, 0, count + 1)

    def newest_first(self) -> list[HostSample]:
        (count,) = self._COUNT.unpack_from(self._memory)
        copy = self._memory[:]
        numbers = range(count - 1, max(0, count - KEPT_SAMPLES) - 1, -1)
        return [self._sample(self._SLOT.unpack_from(copy, self._offset(number))) for number in numbers]

    def _offset(self, number: int) -> int:
        return self._COUNT.size + number % self._SLOTS * self._SLOT.size

    @staticmethod
    def _sample(values: tuple[int | float | bool, ...]) -> HostSample:
        unix_ms, *rest = values
        percents, flags = rest[: len(FIGURES)], rest[len(FIGURES) :]
        spikes = frozenset(name for name, flag in zip(FIGURES, flags, strict=True) if flag)
        return HostSample(int(unix_ms), dict(zip(FIGURES, percents, strict=True)), spikes)


class _Meter:
    """Measures what was used since it measured last; the first time, since the machine was booted."""

    def __init__(self) -> None:
        self._at = 0.0  # CLOCK_MONOTONIC begins with the boot
        self._cpu_seconds = (0.0, 0.0)
        self._moved_bytes = 0

    def percent(self) -> dict[str, float]:
        """Each figure in percent, with one decimal."""
        figures = {
            "cpu": self._cpu_percent(),
            "memory": psutil.virtual_memory().percent,
            "disk": psutil.disk_usage("/").percent,
            "network": self._network_percent(),
        }
        return {name: round(value, 1) for name, value in figures.items()}

    def _cpu_percent(self) -> float:
        (busy, total), self._cpu_seconds = self._cpu_seconds, _cpu_seconds()
        elapsed = self._cpu_seconds[1] - total
        return min(100.0, max(0.0, (self._cpu_seconds[0] - busy) / elapsed * 100)) if elapsed > 0 else 0.0

    def _network_percent(self) -> float:
        """Bytes in and out, as a share of what the links can carry."""
        at, self._at = self._at, time.monotonic()
        before, self._moved_bytes = self._moved_bytes, _moved_bytes()
        elapsed = self._at - at
        if elapsed <= 0:
            return 0.0
        return min(100.0, max(0, self._moved_bytes - before) / elapsed / _link_bytes_per_second() * 100)


def is_spike(value: float, others: Sequence[float]) -> bool:
    """True when a value stands out of those before it."""
    if len(others) < _SPIKE_LEAST_SAMPLES:
        return False
    mean, deviation = statistics.fmean(others), statistics.pstdev(others)
    return value - mean > max(SPIKE_PERCENT, SPIKE_DEVIATIONS * deviation)


def _cpu_seconds() -> tuple[float, float]:
    """(busy, all) of every processor since the boot; what guests used is within `user` and `nice` already."""
    times = psutil.cpu_times()
    total = sum(times) - times.guest - times.guest_nice
    return total - times.idle - times.iowait, total


def _moved_bytes() -> int:
    counters = psutil.net_io_counters()
    return counters.bytes_sent + counters.bytes_recv if counters else 0


def _link_bytes_per_second() -> float:
    speeds = [nic.speed for name, nic in psutil.net_if_stats().items() if nic.isup and name != "lo"]
    return (sum(speed for speed in speeds if 0 < speed < 400_000) or ASSUMED_LINK_MBIT) * 125_000
