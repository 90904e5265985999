"""What 3,000 workers without work cost the API and PostgreSQL, and how soon one of them takes a new scan's first chunk.

`scripts/bench "waiting_workers [WORKERS]"`. The API is real, with two processes. The workers are sessions of this
process that speak a worker's protocol: each holds GET /api/work on a connection of its own, looks for chunks with the
services that a worker uses when it is called, and now and then in any case. Beside them, what the same fleet's looks
cost twice a second, where no API calls it. Processor time is the API's and the server's, of one core, without what they
use with nobody there; this process's own is left out.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, text

from cloudx.adapters.database import engine_for, open_ledger_on
from cloudx.services.access.names_now import NamesNow
from cloudx.services.access.policy import PolicyCache
from cloudx.services.chunks.claim import ClaimChunk
from cloudx.services.chunks.queue import Claimant
from cloudx.services.chunks.work_signal import LOOKS_PER_SECOND
from fixtures.capabilities import CAPABILITIES
from fixtures.servers.gunicorn import NODE_TOKEN, Gunicorn
from fixtures.servers.postgres import new_server
from rig.waiting import until

WORKERS = 3_000
LOOKERS = 8  # threads that look for those who are due
QUIET_SECONDS = 30.0
SCANS = 20
REST_AFTER_A_SCAN_SECONDS = 2.0
IDLE_LOOKS_A_SECOND = 2


class Fleet:
    """Workers that wait."""

    def __init__(self, api: Gunicorn, engine: Engine, workers: int) -> None:
        self._port = api.port
        self._looks = ThreadPoolExecutor(LOOKERS)
        self._claim = [ClaimChunk(open_ledger_on(engine), PolicyCache(NamesNow())) for _ in range(workers)]
        self.heard = [0] * workers
        self._rest = [60.0] * workers  # seconds, until the API says something else
        self.claimed: dict[str, float] = {}  # when the first chunk of each scan was leased
        self._tasks: list[Future[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Begin to wait, each worker on a connection of its own."""
        self._thread.start()
        for number in range(len(self.heard)):
            for task in (self._wait(number), self._look_now_and_then(number)):
                self._tasks.append(asyncio.run_coroutine_threadsafe(task, self._loop))
            time.sleep(0.005)
        until(lambda: self._failures() or all(self.heard), 120)
        assert not self._failures(), self._failures()[:3]

    def _failures(self) -> list[BaseException | None]:
        return [task.exception() for task in self._tasks if task.done() and not task.cancelled()]

    def stop(self) -> None:
        """Let all of them go."""
        assert not self._failures(), self._failures()[:3]
        for task in self._tasks:
            task.cancel()
        until(lambda: not asyncio.all_tasks(self._loop), 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._looks.shutdown()

    def look(self, number: int) -> None:
        """Look for a chunk, as this worker."""
        claimant = Claimant(f"n{number}/w", f"n{number}", CAPABILITIES, 100_000)
        claim = self._claim[number](claimant, rest_seconds=self._rest[number])
        if claim is not None:
            self.claimed.setdefault(claim.scan.id, time.monotonic())

    async def _look_now_and_then(self, number: int) -> None:
        until_first = random.random() * len(self.heard) / 2 / LOOKS_PER_SECOND  # as if they had waited for long
        await asyncio.sleep(until_first)
        while True:
            await self._loop.run_in_executor(self._looks, self.look, number)
            await asyncio.sleep(random.uniform(0.75, 1.25) * self._rest[number])

    async def _wait(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            path = f"/api/work?seen={self.heard[number]}&wait_seconds=600"
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {NODE_TOKEN}"
            writer.write(f"{head}\r\n\r\n".encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert answer.startswith("http/1.1 200"), answer
            news = json.loads(await _body(reader))
            told, self.heard[number], self._rest[number] = self.heard[number], news["number"], news["rest_seconds"]
            if self.heard[number] > told > 0:
                await self._loop.run_in_executor(self._looks, self.look, number)


async def _body(reader: asyncio.StreamReader) -> bytes:
    """What comes in chunks (RFC 9112, 7.1)."""
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


class Meter:
    """Transactions and processor seconds of the server and the API since it was made."""

    def __init__(self, engine: Engine, processes: list[psutil.Process]) -> None:
        self._engine, self._processes = engine, processes
        self._before = self._read()

    def _read(self) -> tuple[int, float, float]:
        with self._engine.connect() as connection:
            query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            transactions = int(connection.execute(text(query)).scalar_one())
        seconds = sum(sum(process.cpu_times()[:2]) for process in self._processes if process.is_running())
        return transactions, seconds, time.monotonic()

    def rates(self) -> tuple[float, float]:
        """(transactions a second, share of one core)."""
        after = self._read()
        transactions, seconds, elapsed = (now - then for now, then in zip(after, self._before, strict=True))
        return transactions / elapsed, seconds / elapsed


def measure(api: Gunicorn, engine: Engine, server: psutil.Process, workers: int) -> dict[str, Any]:
    """The figures of one fleet."""
    fleet = Fleet(api, engine, workers)
    processes = [api.master, *api.master.children(recursive=True), server, *server.children(recursive=True)]
    nobody = Meter(engine, processes)
    time.sleep(15)
    background, core_before = nobody.rates()
    one = Meter(engine, [])
    for _ in range(20):
        fleet.look(0)
        time.sleep(1 / IDLE_LOOKS_A_SECOND)
    polling_rate = one.rates()[0] - background
    fleet.start()
    time.sleep(5)
    processes = [api.master, *api.master.children(recursive=True), server, *server.children(recursive=True)]
    meter = Meter(engine, processes)
    time.sleep(QUIET_SECONDS)
    transactions, core = meter.rates()
    transactions, core = transactions - background, core - core_before
    seconds = []
    for _ in range(SCANS):
        api.register_node()  # somebody can run it
        submitted = time.monotonic()
        scan_id = api.post("/api/scans", {"target": "10.0.0.1", "tool": "masscan", "port": "80"}).json()["job_id"]
        until(lambda scan_id=scan_id: scan_id in fleet.claimed, 60)  # type: ignore[misc]
        seconds.append(fleet.claimed[scan_id] - submitted)
        api.post(f"/api/scans/{scan_id}/stop", {})
        time.sleep(REST_AFTER_A_SCAN_SECONDS)
    fleet.stop()
    return {
        "workers": workers,
        "transactions_per_second": round(transactions, 1),
        "polling_transactions_per_second": round(polling_rate * workers),
        "fewer": round(polling_rate * workers / transactions),
        "core_share": round(core, 3),
        "first_claim_median_seconds": round(statistics.median(seconds), 3),
        "first_claim_p95_seconds": round(statistics.quantiles(seconds, n=20)[-1], 3),
    }


def process_of(pid: int | None) -> psutil.Process:
    assert pid is not None
    return psutil.Process(pid)


def main() -> None:
    """One fleet, one line."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else WORKERS
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard_limit, 4 * workers + 1_000), hard_limit))
    server = new_server()
    with tempfile.TemporaryDirectory() as folder:
        try:
            server.execute("CREATE DATABASE cloudx")
            api = Gunicorn(Path(folder), DATABASE_URL=server.url_of("cloudx"), WEB_CONCURRENCY="2")
            api.start()
            engine = engine_for(server.url_of("cloudx"), pool_size=LOOKERS)
            line = measure(api, engine, process_of(server.pid), workers)
            engine.dispose()
            api.stop()
        finally:
            server.remove()
    goals = {"goal_fewer": 50, "goal_core_share": 0.05, "goal_first_claim_p95_seconds": 0.3}
    print(json.dumps({"bench": "waiting_workers"} | line | goals), flush=True)


if __name__ == "__main__":
    main()
