"""How fast scans are planned and stored, and chunks claimed and settled by many workers, on PostgreSQL and SQLite.

`python tests/bench/plan_and_claim.py [CHUNKS]`. The many are WORKERS threads in PROCESSES processes, each with a
connection of its own, which has claimed a few chunks before the clock starts, as a worker's has after its first minute.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))
from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.chunk_plan import plan
from cloudx.domain.nodes import CAPABILITIES
from cloudx.domain.scans import Scan
from cloudx.services.claim_chunk import Claimant, ClaimChunk, WaitingBoard
from cloudx.services.edit_policy import ensure_first_scope
from cloudx.services.ports import Ledger
from cloudx.services.records import WaitingScan
from cloudx.services.scan_policy import PolicyCache
from cloudx.services.settle_chunk import complete_chunk
from fixtures.ledgers import Desk
from fixtures.postgres import new_server

CHUNKS = 10_000
SETTLED_CHUNKS = 3_000
WORKERS = 64
PROCESSES = 4
WARM_UP_CLAIMS = 8
RATE_PPS = 1_000_000
NODE_LIMIT_PPS = 100_000


class OnePacket(WaitingBoard):
    """Everything as it is, but for a share of one packet a second: so all chunks can be out at once."""

    def share_of(self, _scan: WaitingScan, _claimant: Claimant, _ledger: Ledger) -> int:
        """The smallest there is."""
        return 1


@dataclass(frozen=True)
class Work:
    """What each worker does, in which ledger."""

    url: str
    scan_id: str
    warm_up_id: str
    completes: bool


def prepared(url: str) -> Desk:
    """A fresh ledger with a connection for every worker."""
    engine = engine_for(url, pool_size=WORKERS)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    return Desk(open_ledger, engine)


def submit(desk: Desk, chunks: int) -> tuple[Scan, float]:
    """A scan of at least so many chunks; seconds until it was stored. What a chunk holds does not matter here."""
    desk.register("node-1")  # it beats no more
    started = time.perf_counter()
    last = 10 * 2**24 + min(2**24, chunks * 15 * 64) - 1
    scan = desk.submit(f"10.0.0.0-{last >> 24}.{last >> 16 & 255}.{last >> 8 & 255}.{last & 255}", rate_pps=WORKERS)
    seconds = time.perf_counter() - started
    with desk.engine.begin() as connection:  # after the cut: room for all chunks at once
        connection.exec_driver_sql(f"UPDATE scans SET rate_pps = {RATE_PPS}")
    return scan, seconds


def claim_all(work: Work, first: int, count: int, gate: Barrier, results: multiprocessing.Queue[object]) -> None:
    """One process: `count` workers, on threads, until nothing is left; when it began and ended, and what it got."""
    engine = engine_for(work.url, pool_size=count, is_busy=True)
    open_ledger = open_ledger_on(engine)
    claim_chunk = ClaimChunk(open_ledger, PolicyCache(), OnePacket())
    got: list[int] = []

    def one(number: int, scan_id: str, most: float) -> None:
        claimant = Claimant(f"w{number}", f"n{number}", CAPABILITIES, NODE_LIMIT_PPS, only_scan=scan_id)
        while most > 0 and (claim := claim_chunk(claimant)):
            most -= 1
            if scan_id == work.scan_id:
                got.append(claim.lease.span.number)
            if work.completes:
                complete_chunk(open_ledger, claim, ())

    def all_at_once(job: Callable[[int], None]) -> None:
        threads = [threading.Thread(target=job, args=(first + number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    held = [engine.connect() for _ in range(count)]
    for connection in held:
        connection.close()
    all_at_once(lambda number: one(number, work.warm_up_id, WARM_UP_CLAIMS))
    gate.wait()
    began, cpu = time.perf_counter(), sum(os.times()[:2])
    all_at_once(lambda number: one(number, work.scan_id, float("inf")))
    results.put((began, time.perf_counter(), sum(os.times()[:2]) - cpu, got))
    gate.wait()  # the sessions' processor time is read before they end
    engine.dispose()


@dataclass(frozen=True)
class Claimed:
    """How it went; processor time is that of clients and server."""

    per_second: float
    cpu_microseconds: float
    chunks: int


def claimed(desk: Desk, url: str, chunks: int, workers: int, completes: bool, server_pid: int | None) -> Claimed:
    """Claims (and completions) by so many workers until none is left; fails when a chunk was claimed twice."""
    warm_up, scan = submit(desk, chunks)[0], submit(desk, chunks)[0]
    processes = min(PROCESSES, workers)
    gate, results = multiprocessing.Barrier(processes + 1), multiprocessing.Queue()  # type: ignore[var-annotated]
    work, each = Work(url, scan.id, warm_up.id, completes), workers // processes
    running = [
        multiprocessing.Process(target=claim_all, args=(work, number * each, each, gate, results))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    gate.wait()
    cpu_before = server_cpu_seconds(server_pid)
    parts = [results.get() for _ in running]
    server_cpu = server_cpu_seconds(server_pid) - cpu_before
    gate.wait()
    for process in running:
        process.join()
    numbers = [number for part in parts for number in part[3]]
    total = desk.show(scan).tally.chunks_total
    assert sorted(numbers) == list(range(total)), (
        f"{len(numbers)} claims of {total} chunks, {len(set(numbers))} different"
    )
    assert desk.books(scan)[0].keys() == {f"n{number}" for number in range(workers)} or workers == 1
    seconds = max(part[1] for part in parts) - min(part[0] for part in parts)
    cpu_seconds = server_cpu + sum(part[2] for part in parts)
    return Claimed(len(numbers) / seconds, cpu_seconds / len(numbers) * 1e6, total)


def server_cpu_seconds(pid: int | None) -> float:
    """Of all processes of a database server that live now."""
    if pid is None:
        return 0.0
    server, seconds = psutil.Process(pid), 0.0
    for one in [server, *server.children()]:
        with suppress(psutil.NoSuchProcess):  # an autovacuum worker, say
            seconds += sum(one.cpu_times()[:2])
    return seconds


def measure(name: str, url: str, chunks: int, server_pid: int | None) -> None:
    """Planning alone, submitting whole, claiming by one and by many."""
    desk = prepared(url)
    scan, stored_seconds = submit(desk, chunks)
    cut = desk.show(scan).tally.chunks_total
    started = time.perf_counter()
    assert sum(1 for _ in plan(scan)) > 0
    planned_seconds = time.perf_counter() - started
    report(
        name=f"submit_{name}", value=round(cut / stored_seconds), unit="chunks/s", chunks=cut,
        compared_with=f"planning alone: {planned_seconds:.3f} s", ratio=round(planned_seconds / stored_seconds, 3),
    )  # fmt: skip
    for completes, most in ((False, chunks), (True, min(chunks, SETTLED_CHUNKS))):
        one = claimed(desk, url, most // 4, 1, completes, server_pid)
        many = claimed(desk, url, most, WORKERS, completes, server_pid)
        report(
            name=f"{'claim_and_complete' if completes else 'claim'}_{name}", value=round(many.per_second),
            unit="claims and completions/s" if completes else "claims/s", workers=WORKERS, processes=PROCESSES,
            chunks=many.chunks, none_twice=True, cpu_us_each=round(many.cpu_microseconds),
            load_average=round(os.getloadavg()[0], 1), compared_with=f"one worker: {round(one.per_second)}/s",
            ratio=round(many.per_second / one.per_second, 2),
        )  # fmt: skip
    desk.engine.dispose()


def report(**line: object) -> None:
    """One JSON line."""
    print(json.dumps(line), flush=True)


def main(chunks: int) -> None:
    """PostgreSQL, then SQLite."""
    server = new_server()
    try:
        measure("postgresql", server.url, chunks, server.pid)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db", min(chunks, SETTLED_CHUNKS), None)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS)
