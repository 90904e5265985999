"""A scan of 1,000,000 chunks on the real ledger: claims and completions are as fast at its end as at its start.

`scripts/bench "million_chunks [CHUNKS]"`: 64 workers on 16 sessions of PostgreSQL claim and complete every chunk, with
autovacuum at work as the server's configuration has it. A scan is cut into at most 100,000 chunks or so; this one is
cut finer on purpose. `ratio` is the rate of the last tenth of the chunks beside that of the first. Half an hour.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import statistics
import sys
import threading
import time
from array import array
from itertools import pairwise
from multiprocessing.synchronize import Barrier
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, text

from bench.plan_and_claim import NODE_LIMIT_PPS, PROCESSES, RATE_PPS, SESSIONS, WORKERS, OnePacket, prepared
from cloudx.adapters.database import engine_for, open_ledger_on
from cloudx.domain.planning.chunk_plan import plan
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.chunks.queue import Claimant
from fixtures.capabilities import CAPABILITIES
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

CHUNKS = 1_000_000
TENTHS = 10

Turn = tuple[float, float]  # when it ended, and how many seconds the claim took


def submit(desk: Desk, chunks: int) -> tuple[str, float]:
    """A scan of so many chunks; seconds until it was stored."""
    desk.register("node-1")
    finer = functools.partial(plan, max_chunks=chunks)
    started = time.perf_counter()
    with mock.patch("cloudx.services.scans.cut.plan", finer):
        last = min(2**24, 16 * chunks) - 1
        scan = desk.submit(f"10.0.0.0-10.{last >> 16}.{last >> 8 & 255}.{last & 255}", rate_pps=1)
    seconds = time.perf_counter() - started
    with desk.engine.begin() as connection:  # after the cut: room for all chunks at once
        connection.exec_driver_sql(f"UPDATE scans SET rate_pps = {RATE_PPS}")
    return scan.id, seconds


def work(url: str, scan_id: str, first: int, gate: Barrier, results: multiprocessing.Queue[Any]) -> None:
    """One process: its share of the workers, on threads with a session each, until nothing is left."""
    sessions, each = SESSIONS // PROCESSES, WORKERS // PROCESSES
    engine = engine_for(url, pool_size=sessions, is_busy=True)
    open_ledger, policies, turns = open_ledger_on(engine), PolicyCache(), [array("d") for _ in range(sessions)]

    def in_turn(session: int) -> None:
        claimants = [
            Claimant(f"w{number}", f"n{number}", CAPABILITIES, NODE_LIMIT_PPS, only_scan=scan_id)
            for number in range(first + session, first + each, sessions)
        ]
        workers = [(ClaimChunk(open_ledger, policies, OnePacket()), claimant) for claimant in claimants]
        while True:
            for claim_chunk, claimant in workers:
                started = time.perf_counter()
                claim = claim_chunk(claimant)
                if claim is None:
                    return
                claimed = time.perf_counter()
                complete_chunk(open_ledger, claim, RunOutput())
                turns[session].extend((time.perf_counter(), claimed - started))

    gate.wait()
    threads = [threading.Thread(target=in_turn, args=(session,)) for session in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put([(one[i], one[i + 1]) for one in turns for i in range(0, len(one), 2)])
    engine.dispose()


def finish_all(url: str, scan_id: str) -> tuple[float, list[Turn]]:
    """When they began (perf_counter), and every turn in the order of its end."""
    gate, results = multiprocessing.Barrier(PROCESSES + 1), multiprocessing.Queue()  # type: ignore[var-annotated]
    each = WORKERS // PROCESSES
    running = [
        multiprocessing.Process(target=work, args=(url, scan_id, number * each, gate, results))
        for number in range(PROCESSES)
    ]
    for process in running:
        process.start()
    gate.wait()
    began = time.perf_counter()
    turns = sorted(turn for _ in running for turn in results.get())
    for process in running:
        process.join()
    return began, turns


def by_tenths(began: float, turns: list[Turn]) -> dict[str, Any]:
    """Rates and times of each tenth of the chunks."""
    bounds = [len(turns) * tenth // TENTHS for tenth in range(TENTHS + 1)]
    ends = [began, *(turns[bound - 1][0] for bound in bounds[1:])]
    parts = [turns[low:high] for low, high in pairwise(bounds)]
    rates = [len(part) / (end - start) for part, (start, end) in zip(parts, pairwise(ends), strict=True)]
    claims = [statistics.quantiles([seconds for _, seconds in part], n=100) for part in parts]
    return {
        "per_second_by_tenth": [round(rate) for rate in rates],
        "claim_median_ms_by_tenth": [round(1e3 * quantiles[49], 1) for quantiles in claims],
        "claim_p99_ms_by_tenth": [round(1e3 * quantiles[98], 1) for quantiles in claims],
        "ratio": round(rates[-1] / rates[0], 2),
    }


def of_tables(connection: Connection) -> dict[str, Any]:
    """What the chunks take, and how often they were vacuumed meanwhile."""
    query = """SELECT pg_total_relation_size('chunks') / 1048576 AS chunks_mb,
        pg_total_relation_size('attempts') / 1048576 AS attempts_mb,
        (SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'chunks') AS vacuums"""
    return dict(connection.execute(text(query)).mappings().one())


def measure(url: str, engine: Engine, desk: Desk, chunks: int) -> dict[str, Any]:
    """The figures; fails where a chunk was not completed exactly once."""
    scan_id, stored_seconds = submit(desk, chunks)
    with engine.connect() as connection:
        before = of_tables(connection)["chunks_mb"]
    began, turns = finish_all(url, scan_id)
    with engine.connect() as connection:
        tables = of_tables(connection)
        total, done = connection.exec_driver_sql(
            "SELECT count(*), count(*) FILTER (WHERE state = 'done') FROM chunks"
        ).one()
        attempts = connection.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one()
    assert total == done == attempts == len(turns), (total, done, attempts, len(turns))
    figures = by_tenths(began, turns)
    return {
        "chunks": total,
        "stored_seconds": round(stored_seconds, 1),
        **figures,
        "chunks_mb_before": before,
        **tables,
    }


def main() -> None:
    """One scan, one line."""
    chunks = int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS
    server = new_server()
    try:
        desk = prepared(server.url)
        line = measure(server.url, desk.engine, desk, chunks)
        desk.engine.dispose()
    finally:
        server.remove()
    print(json.dumps({"bench": "million_chunks", **line, "workers": WORKERS, "sessions": SESSIONS}), flush=True)


if __name__ == "__main__":
    main()
