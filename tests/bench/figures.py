"""What the figures of /metrics cost one instance: a reading of the state and of the totals, idle and with a busy fleet.

`scripts/bench figures`. A ledger on PostgreSQL with 3,000 nodes: first without a scan, then with ten open scans that
every node works on, 12,000 leases and 200,000 attempts, and their findings. Processor time of the reader and of the
server together, as a share of one core at the pace at which the rounds read.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import psutil
from sqlalchemy import Engine, text

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.figures.count_totals import TOTALS_SECONDS, CountTotals
from cloudx.services.figures.read_state import STATE_SECONDS, ReadState
from cloudx.services.fleet.fit import CountFit, KnownFleet
from cloudx.services.fleet.read_changes import LedgerFleet
from cloudx.services.fleet.watch import FleetWatch
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

NODES = 3_000
SCANS = 10
ATTEMPTS = 20_000  # of each scan
FINDINGS = 50_000
READINGS = 10


def fill(desk: Desk, engine: Engine) -> None:
    """Ten scans under way: rows as claims and completions leave them."""
    ids = [desk.submit(f"10.{number}.0.0/16", rate_pps=100_000).id for number in range(SCANS)]
    with engine.begin() as connection:
        for scan_id in ids:
            of = {"scan": scan_id, "attempts": ATTEMPTS, "findings": FINDINGS, "nodes": NODES}
            for statement in (
                "UPDATE scans SET status = 'running', started_at = now() WHERE id = :scan",
                "INSERT INTO scan_nodes SELECT :scan, 'n' || n, 10, 1, 1, 5, 0, 100, 0, 0, now() "
                "FROM generate_series(1, :nodes) n",
                "INSERT INTO attempts (scan_id, number, attempt, node_id, worker_id, started_at, ended_at, outcome) "
                "SELECT :scan, n, 1, 'n1', 'n1/w', now(), now(), 'done' FROM generate_series(1, :attempts) n",
                "INSERT INTO findings SELECT :scan, '10.0.0.0'::inet + n, 'tcp', 80, 'open', NULL, NULL, now(), 'n1' "
                "FROM generate_series(1, :findings) n",
            ):
                connection.execute(text(statement), of)
        connection.execute(
            text(
                "UPDATE chunks SET state = 'leased', lease_until = now() + interval '10 s', sending = true "
                "WHERE state = 'pending'"
            )
        )
        connection.execute(text("INSERT INTO node_grants SELECT 'n' || n, 100 FROM generate_series(1, :nodes) n"), of)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def cost(read: Callable[[], object], server: psutil.Process) -> tuple[float, float]:
    """(processor seconds, elapsed seconds) of one call, medians."""
    spent, elapsed = [], []
    for _ in range(READINGS):
        before, started = used(server), time.monotonic()
        read()
        spent.append(used(server) - before)
        elapsed.append(time.monotonic() - started)
    return sum(spent) / READINGS, statistics.median(elapsed)


def used(server: psutil.Process) -> float:
    """Processor seconds of this process and of the server's."""
    processes = [psutil.Process(), server, *server.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def figures(desk: Desk, server: psutil.Process, when: str) -> dict[str, object]:
    """One line."""
    fleet = FleetWatch(LedgerFleet(desk.open_ledger))
    snapshot = fleet.current()
    count_fit = CountFit(lambda: snapshot.reading, KnownFleet())
    clock = iter(range(0, 10**9, 10_000))
    state = ReadState(desk.open_ledger, lambda: snapshot, count_fit, lambda: True)
    totals = CountTotals(desk.open_ledger, lambda: True, clock=lambda: float(next(clock)))
    state_core, state_seconds = cost(state, server)
    totals_core, totals_seconds = cost(totals, server)
    pace_seconds = max(TOTALS_SECONDS, totals_seconds / 0.01)
    return {
        "bench": "figures",
        "when": when,
        "state_ms": round(state_seconds * 1000, 1),
        "totals_ms": round(totals_seconds * 1000, 1),
        "totals_each_seconds": round(pace_seconds),
        "core_share": round(state_core / STATE_SECONDS + totals_core / pace_seconds, 4),
        "goal_core_share": 0.03,
    }


def main() -> None:
    """Two lines: idle, busy."""
    server = new_server()
    try:
        server.execute("CREATE DATABASE cloudx")
        engine = engine_for(server.url_of("cloudx"))
        upgrade(engine)
        ensure_first_scope(open_ledger_on(engine))
        desk = Desk(open_ledger_on(engine), engine)
        for number in range(1, NODES + 1):
            desk.register(f"n{number}", rate_limit_pps=1_000)
        assert server.pid is not None
        process = psutil.Process(server.pid)
        print(json.dumps(figures(desk, process, "idle")), flush=True)
        fill(desk, engine)
        print(json.dumps(figures(desk, process, "busy")), flush=True)
        engine.dispose()
    finally:
        server.remove()


if __name__ == "__main__":
    main()
