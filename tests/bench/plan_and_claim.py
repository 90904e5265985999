"""How fast scans are planned and stored, and chunks claimed and settled by many workers, on PostgreSQL and SQLite.

`python tests/bench/plan_and_claim.py [CHUNKS]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.chunk_plan import plan
from cloudx.domain.scans import Scan
from cloudx.services.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk
from fixtures.postgres import new_server

CHUNKS = 10_000
WORKERS = 64
SECONDS = 10.0
ADDRESSES_PER_CHUNK = 15  # at one packet a second for each worker


def prepared(url: str) -> Desk:
    """A fresh ledger with a connection for every worker."""
    engine = engine_for(url, pool_size=WORKERS)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    return Desk(open_ledger, engine)


def submit(desk: Desk, chunks: int) -> tuple[Scan, float]:
    """A scan of about so many chunks that lets every worker send at once; seconds until it was stored."""
    started = time.perf_counter()
    last = 10 * 2**24 + chunks * ADDRESSES_PER_CHUNK * WORKERS - 1
    scan = desk.submit(f"10.0.0.0-{last >> 24}.{last >> 16 & 255}.{last >> 8 & 255}.{last & 255}", rate_pps=WORKERS)
    return scan, time.perf_counter() - started


def claims_per_second(desk: Desk, scan: Scan, workers: int) -> float:
    """Of chunks claimed and completed empty by as many threads, for SECONDS or until none is left."""
    stop_at = time.perf_counter() + SECONDS
    settled = [0] * workers

    def work(number: int) -> None:
        while time.perf_counter() < stop_at:
            claim = desk.claim(f"w{number}", f"n{number}", only_scan=scan.id, node_limit_pps=1)
            if claim is not None:
                desk.complete(claim)
                settled[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(settled) / (time.perf_counter() - started)
    assert desk.show(scan).tally.chunks_done == sum(settled)
    return rate


def measure(name: str, url: str, chunks: int) -> None:
    """Planning alone, submitting whole, claiming by one and by many."""
    desk = prepared(url)
    scan, stored_seconds = submit(desk, chunks)
    cut = desk.show(scan).tally.chunks_total
    started = time.perf_counter()
    assert sum(1 for _ in plan(scan)) == cut
    planned_seconds = time.perf_counter() - started
    one = claims_per_second(desk, scan, 1)
    many = claims_per_second(desk, submit(desk, chunks)[0], WORKERS)
    desk.engine.dispose()
    lines = [
        {
            "name": f"submit_{name}", "value": round(cut / stored_seconds), "unit": "chunks/s", "chunks": cut,
            "compared_with": f"planning alone: {round(cut / planned_seconds)} chunks/s",
            "ratio": round(planned_seconds / stored_seconds, 3),
        },
        {
            "name": f"claim_{name}", "value": round(many), "unit": "claims and completions/s", "workers": WORKERS,
            "compared_with": f"one worker: {round(one)}/s", "ratio": round(many / one, 2),
        },
    ]  # fmt: skip
    for line in lines:
        print(json.dumps(line), flush=True)


def main(chunks: int) -> None:
    """PostgreSQL, then SQLite."""
    server = new_server()
    try:
        measure("postgresql", server.url, chunks)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db", chunks)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHUNKS)
