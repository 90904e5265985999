"""How soon 500 listeners at one process of the API hear of what was committed, beside one listener alone.

`scripts/bench "events [LISTENERS]"`. The API is real, with one gunicorn worker, on PostgreSQL. The events are those of
chunks that this process claims and completes by a worker's services, PAIRS_A_SECOND a second. The listeners are
connections of a process of their own. An event's time is from the return of the commit to its arrival, for each
listener by itself; every listener has to get every event, once and in order. The goal is p99 < 250 ms.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

from bench.plan_and_claim import NODE_LIMIT_PPS, OnePacket, prepared, submit
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.chunks.queue import Claimant
from cloudx.services.ledger.ledger import OpenLedger
from fixtures.capabilities import CAPABILITIES
from fixtures.ledgers import Desk
from fixtures.servers.gunicorn import ADMIN_TOKEN, Gunicorn
from fixtures.servers.postgres import new_server
from rig.waiting import until

LISTENERS = 500
PAIRS = 200
PAIRS_A_SECOND = 20.0
SETTLE_SECONDS = 3.0
_ID = re.compile(rb'"type":"chunk","id":(\d+)')
Heard = list[list[tuple[int, float]]]  # of each listener: (event id, when it came)


async def listen(port: int, heard: list[tuple[int, float]], is_there: asyncio.Semaphore) -> None:
    """One listener, until it is cancelled."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /api/events?types=chunk HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    is_there.release()
    while text := await reader.read(1 << 16):
        now = time.monotonic()
        heard += [(int(found), now) for found in _ID.findall(text)]


async def listen_all(port: int, listeners: int, ready: Signal, over: Signal) -> Heard:
    """Many of them."""
    heard: Heard = [[] for _ in range(listeners)]
    is_there = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(listen(port, each, is_there)) for each in heard]
    for _ in tasks:
        await is_there.acquire()
    ready.set()
    while not over.is_set():
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in tasks), "a stream ended"
    for task in tasks:
        task.cancel()
    return heard


def listening(port: int, listeners: int, ready: Signal, over: Signal, results: multiprocessing.Queue[Heard]) -> None:
    """A process of listeners."""
    results.put(asyncio.run(listen_all(port, listeners, ready, over)))


def work(open_ledger: OpenLedger, scan_id: str) -> dict[tuple[int, str], float]:
    """Claim and complete at a steady pace; when each commit had returned, by chunk and state."""
    claim_chunk = ClaimChunk(open_ledger, PolicyCache(), OnePacket())
    claimant = Claimant("w", "n", CAPABILITIES, NODE_LIMIT_PPS, only_scan=scan_id)
    committed: dict[tuple[int, str], float] = {}
    started = time.monotonic()
    for pair in range(PAIRS):
        time.sleep(max(0.0, started + pair / PAIRS_A_SECOND - time.monotonic()))
        claim = claim_chunk(claimant)
        assert claim is not None
        number = claim.lease.span.number
        committed[number, "leased"] = time.monotonic()
        complete_chunk(open_ledger, claim, RunOutput())
        committed[number, "done"] = time.monotonic()
    return committed


def milliseconds(desk: Desk, scan_id: str, committed: dict[tuple[int, str], float], heard: Heard) -> list[float]:
    """Of each event at each listener; fails where one was missed, came twice or in another order."""
    with desk.open_ledger(read_only=True) as ledger:
        told = [event for event in ledger.events.page(0, 1 << 20).events if event.scan_id == scan_id]
    at = {event.id: committed[event.number, event.state] for event in told if (event.number, event.state) in committed}  # type: ignore[index]
    for each in heard:
        assert [number for number, _ in each] == sorted(at), (len(each), len(at))
    return [(came - at[number]) * 1000 for each in heard for number, came in each]


def measure(desk: Desk, api: Gunicorn, listeners: int) -> tuple[list[float], float]:
    """The times, and the share of one core that the API's worker used."""
    ready, over = multiprocessing.Event(), multiprocessing.Event()
    results: multiprocessing.Queue[Heard] = multiprocessing.Queue()
    process = multiprocessing.Process(target=listening, args=(api.port, listeners, ready, over, results))
    scan, _ = submit(desk, PAIRS)
    process.start()
    assert ready.wait(120)
    (worker,) = api.master.children()
    cpu, started = sum(worker.cpu_times()[:2]), time.monotonic()
    committed = work(desk.open_ledger, scan.id)
    core = (sum(worker.cpu_times()[:2]) - cpu) / (time.monotonic() - started)
    time.sleep(SETTLE_SECONDS)
    over.set()
    heard = results.get()
    process.join()
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE scans SET status = 'stopped'")
    return milliseconds(desk, scan.id, committed, heard), core


def main() -> None:
    """One line: all of them, beside one alone."""
    listeners = int(sys.argv[1]) if len(sys.argv) > 1 else LISTENERS
    server = new_server()
    with tempfile.TemporaryDirectory() as folder:
        try:
            desk = prepared(server.url)
            api = Gunicorn(Path(folder), DATABASE_URL=server.url, WEB_CONCURRENCY="1")
            api.start()
            until(lambda: len(api.master.children()) == 1, 10)
            alone, _ = measure(desk, api, 1)
            many, core = measure(desk, api, listeners)
            p99, p99_alone = (statistics.quantiles(times, n=100)[-1] for times in (many, alone))
            line = {
                "name": "events_commit_to_arrival_p99", "value": round(p99, 1), "unit": "ms", "listeners": listeners,
                "median": round(statistics.median(many), 1), "slowest": round(max(many), 1), "arrivals": len(many),
                "events_a_second": 2 * PAIRS_A_SECOND, "api_core_share": round(core, 2),
                "load_average": round(os.getloadavg()[0], 1), "each_once_in_order": True,
                "compared_with": f"one listener alone: {p99_alone:.1f} ms", "ratio": round(p99 / p99_alone, 2),
            }  # fmt: skip
            print(json.dumps(line), flush=True)
            assert api.stop() == 0
            desk.engine.dispose()
        finally:
            server.remove()


if __name__ == "__main__":
    main()
