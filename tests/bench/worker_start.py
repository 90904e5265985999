"""From `cloudx worker --scan ID` to its first claim, and to its first packet at the targets. Needs root.

As a dispatched worker starts: PostgreSQL, executor nomad, a machine (network namespace) of its own.
Goals: a claim within 0.4 s. Compared with a Python that starts and imports SQLAlchemy alone.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, Desk
from fixtures.servers.network import Network
from fixtures.servers.postgres import new_server
from fixtures.servers.service import CLOUDX
from fixtures.wire import Wire
from rig.environment import clean_environment

RUNS = 7
RATE_PPS = 2_000


def start_once(desk: Desk, network: Network, folder: str, url: str) -> tuple[float, float, float]:
    """Seconds to the claim and to the first packet, and the worker's memory in MB then."""
    desk.register("bench")
    scan = desk.submit("10.77.0.0/18", ports="81", rate_pps=RATE_PPS)
    environment = clean_environment(
        DATABASE_URL=url, CLOUDX_DATA_DIR=folder, NODE_ID="bench", CLOUDX_EXECUTOR="nomad", CLOUDX_LOG_FORMAT="json"
    )
    with Wire(network) as wire, open(f"{folder}/log", "ab") as log:
        started, started_at = time.monotonic(), time.time()
        with network.inside():
            worker = subprocess.Popen([*CLOUDX, "worker", "--scan", scan.id], env=environment, stderr=log)
        try:
            deadline = started + 20
            while wire.first_packet() is None:
                assert time.monotonic() < deadline and worker.poll() is None, Path(f"{folder}/log").read_text()
                time.sleep(0.02)
            first_packet = wire.first_packet()
            assert first_packet is not None
            status = Path(f"/proc/{worker.pid}/smaps_rollup").read_text()
            memory_kilobytes = int(status.split("Pss:")[1].split()[0])
        finally:
            stop_scan(desk.open_ledger, scan.id, ADMIN)
            worker.send_signal(signal.SIGINT)
            worker.wait(20)
    with desk.engine.connect() as connection:
        query = text("SELECT min(started_at) FROM attempts WHERE scan_id = :id")
        claimed_at = connection.execute(query, {"id": scan.id}).scalar_one()
    return claimed_at.timestamp() - started_at, first_packet - started, memory_kilobytes / 1000


def bare_python() -> float:
    """Seconds for the largest of its libraries alone."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import sqlalchemy, sqlalchemy.dialects.postgresql, psycopg2"], check=True)
    return time.monotonic() - started


def main() -> None:
    """Medians over RUNS."""
    network, postgres = Network(), new_server()
    with tempfile.TemporaryDirectory() as folder:
        try:
            network.build()
            postgres.execute("CREATE DATABASE bench")
            engine = engine_for(postgres.url_of("bench"))
            upgrade(engine)
            ensure_first_scope(open_ledger_on(engine))
            desk = Desk(open_ledger_on(engine), engine)
            measured = [start_once(desk, network, folder, postgres.socket_url_of("bench")) for _ in range(RUNS)]
            bare = statistics.median(bare_python() for _ in range(RUNS))
            engine.dispose()
        finally:
            network.remove()
            postgres.remove()
    claims, packets, memory = zip(*measured, strict=True)
    say("worker_start_to_claim", claims, "s", "< 0.4", bare)
    say("worker_start_to_first_packet", packets, "s", None, bare)
    say("worker_memory", memory, "MB", None, None)


def say(name: str, values: tuple[float, ...], unit: str, goal: str | None, bare: float | None) -> None:
    """One JSON line."""
    median = statistics.median(values)
    line = {"name": name, "value": round(median, 3), "max": round(max(values), 3), "unit": unit}
    if goal is not None:
        line["goal"] = goal
    if bare is not None:
        line |= {"compared_with": "importing SQLAlchemy and psycopg2 alone", "alone": round(bare, 3)}
        line["ratio"] = round(median / bare, 2)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
