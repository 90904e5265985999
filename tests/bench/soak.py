"""Twenty minutes of small scans through one install: no process of it grows.

`scripts/bench "soak [SCANS SECONDS]"`. One `cloudx up` on SQLite, as `make run` starts it; real scans by nmap of one
port of this machine, several at once, each read to its end as the frontend reads it. Memory is each process's own
(unique set size), noted every ten seconds; what a process has grown is the mean of its last tenth less that of its
second tenth, by when everything that is used has been loaded. `ratio` is the greatest growth beside what is allowed it.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from fixtures.servers.service import Service

SCANS, SECONDS = 10_000, 1_200.0
AT_ONCE = 12
NOTE_SECONDS = 10.0
ALLOWED_MB = 4.0  # 400 bytes a scan: what the allocator's and SQLite's caches still move by
POLL_SECONDS = 0.5


class Memory(threading.Thread):
    """The unique set sizes of an install's processes, in bytes, by pid, as long as they live."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self._processes = service.processes()  # no scanner among them yet
        self._over = threading.Event()
        self.names = {process.pid: _name(process) for process in self._processes}
        self.noted: dict[int, list[int]] = {process.pid: [] for process in self._processes}

    def run(self) -> None:
        """Note all of them every ten seconds."""
        while not self._over.wait(NOTE_SECONDS):
            for process in self._processes:
                with suppress(psutil.NoSuchProcess):
                    self.noted[process.pid].append(process.memory_full_info().uss)

    def stop(self) -> None:
        """End."""
        self._over.set()
        self.join()

    def growth_mb(self) -> dict[str, float]:
        """What each process has grown by."""
        return {f"{self.names[pid]} {pid}": _growth_bytes(noted) / 1e6 for pid, noted in self.noted.items()}


def _name(process: psutil.Process) -> str:
    words = process.cmdline()
    return next((word for word in reversed(words) if word.isalpha()), process.name())


def _growth_bytes(noted: list[int]) -> float:
    tenth = max(1, len(noted) // 10)
    return statistics.mean(noted[-tenth:]) - statistics.mean(noted[tenth : 2 * tenth])


class Users:
    """Several at once, each of whom submits a scan, watches it and reads what it found, again and again."""

    def __init__(self, service: Service, port: int, scans: int, seconds: float) -> None:
        self._service, self._port = service, port
        self._numbers = itertools.count(1)
        self._scans, self._ends_at = scans, time.monotonic() + seconds
        self.completed = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until all scans are done or the time is up."""
        users = [threading.Thread(target=self._use) for _ in range(AT_ONCE)]
        for user in users:
            user.start()
        for user in users:
            user.join()

    def _use(self) -> None:
        while next(self._numbers) <= self._scans and time.monotonic() < self._ends_at:
            scan_id = self._service.scan(target="127.0.0.1", tool="nmap", type="tcp_scan", port=str(self._port))
            while (shown := self._service.show(scan_id))["status"] in ("submitted", "running"):
                time.sleep(POLL_SECONDS)
            assert shown["status"] == "completed", shown
            found = self._service.call("GET", f"/api/scans/{scan_id}/results").json()
            assert [row["port"] for row in found["results"]] == [self._port], found
            with self._lock:
                self.completed += 1


def soak(service: Service, scans: int, seconds: float) -> dict[str, Any]:
    """The figures."""
    service.start()
    try:
        memory, users = Memory(service), Users(service, service.port, scans, seconds)
        memory.start()
        started = time.monotonic()
        users.run()
        elapsed = time.monotonic() - started
        memory.stop()
    finally:
        service.stop()
    growth = memory.growth_mb()
    return {
        "name": "soak", "value": round(max(growth.values()), 1), "unit": "MB, the process that grew most",
        "scans": users.completed, "seconds": round(elapsed), "goal": f"< {ALLOWED_MB}",
        "ratio": round(max(growth.values()) / ALLOWED_MB, 2),
        "grown_mb": {name: round(grown, 1) for name, grown in growth.items()},
        "uss_mb": {memory.names[pid] + f" {pid}": round(noted[-1] / 1e6, 1) for pid, noted in memory.noted.items()},
    }  # fmt: skip


def main() -> None:
    """One line."""
    scans, seconds = (int(sys.argv[1]), float(sys.argv[2])) if len(sys.argv) > 2 else (SCANS, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(soak(Service(Path(folder) / "install"), scans, seconds)), flush=True)


if __name__ == "__main__":
    main()
