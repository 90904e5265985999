"""What the heartbeats of 3,000 nodes cost the API and PostgreSQL, at the pace that they are told.

`scripts/bench "heartbeats [NODES]"`. The API is real, with two processes, and so is PostgreSQL. The nodes are sessions
of this process, which beat over connections that they keep, as agents do, each when it was told to. Beside them, the
same nodes beating every five seconds, as they did whatever the fleet's size. Processor time is the API's and the
server's, of one core, without what they use while nobody beats; this process's own is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from bench.waiting_workers import process_of
from cloudx.adapters.database import engine_for, open_ledger_on
from cloudx.domain.beats import HEARTBEAT_SECONDS, beat_seconds
from cloudx.domain.nodes import NodeRole, Registration
from cloudx.services.fleet.report import register_node
from fixtures.servers.gunicorn import NODE_TOKEN, Gunicorn
from fixtures.servers.postgres import new_server
from rig.waiting import until

NODES = 3_000
CONNECTIONS = 64  # each for every 47th node: what a beat costs does not depend on who holds the connection
SETTLE_SECONDS, MEASURE_SECONDS = 5.0, 40.0


def phase(number: int) -> float:
    """What part of its pace has passed for a node when the measuring begins: spread evenly, 0-1."""
    return number * 0.618034 % 1


class Fleet:
    """Nodes that beat for a while, all of them spread over their pace."""

    def __init__(self, api: Gunicorn, nodes: int, began_at: float, seconds: float, fixed_seconds: float | None) -> None:
        self._port, self._nodes = api.port, nodes
        self._began_at = began_at
        self._ends_at = time.monotonic() + seconds
        self._fixed_seconds = fixed_seconds
        self.beats = 0

    def run(self) -> None:
        """Until the time is up."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        pace = self._fixed_seconds or beat_seconds(self._nodes)
        await asyncio.gather(
            *(self._beat_for(range(first, self._nodes, CONNECTIONS), pace) for first in range(CONNECTIONS))
        )

    async def _beat_for(self, numbers: range, pace: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        due = sorted((self._began_at + (1 - phase(number)) * pace, number) for number in numbers)
        while due and (moment := due[0][0]) < self._ends_at:
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            _, number = due.pop(0)
            told = await _beat(reader, writer, number)
            self.beats += 1
            due.append((moment + (self._fixed_seconds or told), number))
            due.sort()
        writer.close()


async def _beat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> float:
    """One beat; when the next is due."""
    loads = [round(random.random(), 2) for _ in range(3)]
    body = {"node_id": f"n{number}", "status": "healthy", "cpu": round(100 * random.random(), 1), "mem": 41.5}
    payload = json.dumps({**body, "loadavg": loads, "updated_at": datetime.now(UTC).isoformat()}).encode()
    head = f"POST /api/nodes/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {NODE_TOKEN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert answer.startswith("http/1.1 200"), answer
    length = int(answer.split("content-length:")[1].split()[0])
    return float(json.loads(await reader.readexactly(length))["next_seconds"])


def _core_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes if process.is_running())


def core_share(processes: list[psutil.Process], seconds: float) -> float:
    """What these use of one core, over so long."""
    before, started = _core_seconds(processes), time.monotonic()
    time.sleep(seconds)
    return (_core_seconds(processes) - before) / (time.monotonic() - started)


def measure(
    api: Gunicorn, server: psutil.Process, engine: Engine, nodes: int, fixed_seconds: float | None
) -> tuple[float, float]:
    """(beats a second, share of one core), of a fleet that has beaten at its pace for long."""
    pace = fixed_seconds or beat_seconds(nodes)
    with engine.begin() as connection:
        passed = f"{pace} * mod(substr(node_id, 2)::numeric * 0.618034, 1)"
        connection.exec_driver_sql(
            f"UPDATE nodes SET beat_seconds = {pace}, last_seen = now() - make_interval(secs => ({passed})::float) "
            "WHERE node_id LIKE 'n%%'"
        )
    began_at = time.monotonic()
    time.sleep(SETTLE_SECONDS)  # until the API has read them so
    fleet = Fleet(api, nodes, began_at, SETTLE_SECONDS + MEASURE_SECONDS + 2, fixed_seconds)
    thread = threading.Thread(target=fleet.run)
    thread.start()
    time.sleep(SETTLE_SECONDS)
    beats = fleet.beats
    share = core_share(_processes(api, server), MEASURE_SECONDS)
    rate = (fleet.beats - beats) / MEASURE_SECONDS
    thread.join()
    return rate, share


def _processes(api: Gunicorn, server: psutil.Process) -> list[psutil.Process]:
    return [api.master, *api.master.children(recursive=True), server, *server.children(recursive=True)]


def compare(api: Gunicorn, server: psutil.Process, url: str, nodes: int) -> dict[str, Any]:
    """The figures of one fleet, at both paces."""
    engine = engine_for(url, pool_size=1)
    for number in range(nodes):
        said = Registration(f"n{number}", f"vps{number}", "10.0.0.1", NodeRole.WORKER, ("nmap", "raw_socket"), "1")
        register_node(open_ledger_on(engine), said)
    until(lambda: len(api.get("/api/nodes").json()) >= nodes, 30)
    idle = core_share(_processes(api, server), 20)
    fixed_rate, fixed_share = measure(api, server, engine, nodes, HEARTBEAT_SECONDS)
    rate, share = measure(api, server, engine, nodes, None)
    engine.dispose()
    return {
        "load_average": round(os.getloadavg()[0], 1),
        "nodes": nodes,
        "beats_per_second": round(rate, 1),
        "core_share": round(share - idle, 3),
        "beats_per_second_each_5_s": round(fixed_rate, 1),
        "core_share_each_5_s": round(fixed_share - idle, 3),
        "core_share_without_beats": round(idle, 3),
        "goal_core_share": 0.1,
    }


def main() -> None:
    """One fleet, one line."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else NODES
    server = new_server()
    with tempfile.TemporaryDirectory() as folder:
        try:
            server.execute("CREATE DATABASE cloudx")
            api = Gunicorn(Path(folder), DATABASE_URL=server.url_of("cloudx"), WEB_CONCURRENCY="2")
            api.start()
            line = compare(api, process_of(server.pid), server.url_of("cloudx"), nodes)
            api.stop()
        finally:
            server.remove()
    print(json.dumps({"bench": "heartbeats"} | line), flush=True)


if __name__ == "__main__":
    main()
