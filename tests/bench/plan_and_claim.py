"""How fast scans are planned and stored, and chunks claimed and settled by many workers, on PostgreSQL and SQLite.

`scripts/bench plan_and_claim [CHUNKS]`. The many are WORKERS workers in PROCESSES processes. Each has a thread
and a session of PostgreSQL of its own, as on a machine of its own; or WORKERS / SESSIONS of them take turns on one. The
difference is what 64 server processes cost two processors: each finds its memory in no cache. A session has claimed a
few chunks before the clock starts, as a worker's has after its first minute.
`client_us` and `server_us` are processor time for one claim: two processors give two seconds of it a second.
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

import psutil

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.planning.chunk_plan import plan
from cloudx.domain.scans import Scan
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.chunks.queue import Claimant, QueueCache
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.ledger.records import WaitingScan
from fixtures.capabilities import CAPABILITIES
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

CHUNKS = 10_000
SETTLED_CHUNKS = 3_000
WORKERS = 64
SQLITE_WORKERS = 8  # one writes at a time, and they are of one machine
PROCESSES = 4
SESSIONS = 16
WARM_UP_TURNS = 8
RATE_PPS = 1_000_000
NODE_LIMIT_PPS = 100_000


class OnePacket(QueueCache):
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
    sessions: int  # of each process


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
    engine = engine_for(work.url, pool_size=work.sessions, is_busy=True)
    open_ledger = open_ledger_on(engine)
    policies = PolicyCache()
    got: list[int] = []

    def in_turn(session: int, scan_id: str, most: float) -> None:
        """The workers of one session, until there is nothing left or each has had so many turns."""
        claimants = [
            Claimant(f"w{number}", f"n{number}", CAPABILITIES, NODE_LIMIT_PPS, only_scan=scan_id)
            for number in range(first + session, first + count, work.sessions)
        ]
        # Each has a queue of its own, as the worker of a machine has.
        workers = [(ClaimChunk(open_ledger, policies, OnePacket()), claimant) for claimant in claimants]
        while most > 0:
            most -= 1
            for claim_chunk, claimant in workers:
                claim = claim_chunk(claimant)
                if claim is None:
                    return
                if scan_id == work.scan_id:
                    got.append(claim.lease.span.number)
                if work.completes:
                    complete_chunk(open_ledger, claim, RunOutput())

    def all_at_once(job: Callable[[int], None]) -> None:
        threads = [threading.Thread(target=job, args=(session,)) for session in range(work.sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    held = [engine.connect() for _ in range(work.sessions)]  # or the pool would give all of them the same few
    for connection in held:
        connection.close()
    all_at_once(lambda session: in_turn(session, work.warm_up_id, WARM_UP_TURNS))
    gate.wait()
    began, cpu = time.perf_counter(), sum(os.times()[:2])
    all_at_once(lambda session: in_turn(session, work.scan_id, float("inf")))
    results.put((began, time.perf_counter(), sum(os.times()[:2]) - cpu, got))
    gate.wait()  # the sessions' processor time is read before they end
    engine.dispose()


@dataclass(frozen=True)
class Party:
    """Who claims, on how many sessions, and whether they complete what they claimed."""

    workers: int
    sessions: int
    completes: bool


@dataclass(frozen=True)
class Claimed:
    """How it went; the microseconds are processor time for each claim."""

    per_second: float
    client_microseconds: float
    server_microseconds: float
    chunks: int


def claimed(desk: Desk, url: str, chunks: int, party: Party, server_pid: int | None) -> Claimed:
    """Claims (and completions) by so many workers until none is left; fails when a chunk was claimed twice."""
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")  # as autovacuum does now and then; it has not heard of the next scans
    warm_up, scan = submit(desk, chunks)[0], submit(desk, chunks)[0]
    processes = min(PROCESSES, party.workers)
    gate, results = multiprocessing.Barrier(processes + 1), multiprocessing.Queue()  # type: ignore[var-annotated]
    work = Work(url, scan.id, warm_up.id, party.completes, party.sessions // processes)
    each = party.workers // processes
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
    assert desk.books(scan)[0].keys() == {f"n{number}" for number in range(party.workers)}
    seconds = max(part[1] for part in parts) - min(part[0] for part in parts)
    each_us = 1e6 / len(numbers)
    return Claimed(len(numbers) / seconds, sum(part[2] for part in parts) * each_us, server_cpu * each_us, total)


def server_cpu_seconds(pid: int | None) -> float:
    """Of all processes of a database server that live now."""
    if pid is None:
        return 0.0
    server, seconds = psutil.Process(pid), 0.0
    for one in [server, *server.children()]:
        with suppress(psutil.NoSuchProcess):  # an autovacuum worker, say
            seconds += sum(one.cpu_times()[:2])
    return seconds


def measure(name: str, url: str, chunks: int, workers: int, server_pid: int | None) -> None:
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
        one = claimed(desk, url, most // 4, Party(1, 1, completes), server_pid)
        for sessions in sorted({workers, min(workers, SESSIONS)}):
            many = claimed(desk, url, most, Party(workers, sessions, completes), server_pid)
            report(
                name=f"{'claim_and_complete' if completes else 'claim'}_{name}", value=round(many.per_second),
                unit="claims and completions/s" if completes else "claims/s", workers=workers, sessions=sessions,
                chunks=many.chunks, none_twice=True, client_us=round(many.client_microseconds),
                server_us=round(many.server_microseconds), load_average=round(os.getloadavg()[0], 1),
                compared_with=f"one worker: {round(one.per_second)}/s",
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
        measure("postgresql", server.url, chunks, WORKERS, server.pid)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db", min(chunks, SETTLED_CHUNKS), SQLITE_WORKERS, None)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS)
