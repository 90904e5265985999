"""What it takes to plan a /8 × 1,000 ports, and to store the plan: seconds and memory, in a process of its own each.

`scripts/bench plan_scan`. Goals: planning under 1 s and 50 MB; a plan that is read chunk by chunk under 1 MB, at any
shape. Memory is what the step adds to the process (peak resident size after, minus before), and what Python allocated.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import deque

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.planning.chunk_plan import claim_order, plan
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server
from unit.domain.scan_builder import a_scan

TARGET, PORTS, WORKERS = "10.0.0.0/8", "1-1000", 8
GOAL_SECONDS, GOAL_MB, GOAL_STREAM_MB = 1.0, 50.0, 1.0
# Targets, ports, packets/s, workers: the plans that have the most chunks, each for another reason.
SHAPES = (
    ("10.0.0.0/8", "1-1000", 1000, 1), ("10.0.0.0/8", "1-1000", 100_000, 8), ("10.0.0.0/8", "1-656", 1000, 1000),
    ("10.0.0.0/8", "1-65535", 1, 1000), ("10.0.0.0/16", "1-65535", 1, 8), ("0.0.0.0/0", "80", 1, 1),
    ("10.0.0.1", "1-65535", 1, 1000), ("0.0.0.0/0", "1-255", 10_000, 1),
)  # fmt: skip


def peak_mb() -> float:
    """The largest this process has been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def planned() -> int:
    """Cut the scan and shuffle its chunks; how many there are."""
    spans = list(plan(a_scan(TARGET, ports=PORTS), WORKERS))
    return len(claim_order([span.units for span in spans], seed=1))


def measure_planning() -> dict[str, float]:
    """Planning alone."""
    before_mb, started = peak_mb(), time.perf_counter()
    chunks = planned()
    seconds, added_mb = time.perf_counter() - started, peak_mb() - before_mb
    tracemalloc.start()
    planned()
    allocated_mb = tracemalloc.get_traced_memory()[1] / 2**20
    return {"seconds": seconds, "mb": added_mb, "allocated_mb": allocated_mb, "chunks": chunks}


def stream_mb(targets: str, ports: str, rate_pps: int, workers: int) -> float:
    """What Python allocates at most while a plan is read and nothing of it kept."""
    scan = a_scan(targets, ports=ports, rate_pps=rate_pps)
    tracemalloc.start()
    try:
        deque(plan(scan, workers), maxlen=0)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def report_streams() -> None:
    """One line: the most of any shape."""
    worst_mb = max(stream_mb(*shape) for shape in SHAPES)
    line = {"name": "plan_read_chunk_by_chunk", "value": round(worst_mb, 3), "unit": "MB", "shapes": len(SHAPES)}
    print(json.dumps(line | {"goal": GOAL_STREAM_MB, "ratio": round(worst_mb / GOAL_STREAM_MB, 3)}), flush=True)


def measure_submit(url: str) -> dict[str, float]:
    """A submit by the service, from request to commit."""
    engine = engine_for(url)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    desk = Desk(open_ledger, engine)
    for number in range(2, WORKERS + 1):
        desk.register(f"node-{number}")
    desk.submit("10.0.0.1")  # whatever is loaded at the first use is not the plan's
    before_mb, started = peak_mb(), time.perf_counter()
    scan = desk.submit(TARGET, ports=PORTS)
    seconds, added_mb = time.perf_counter() - started, peak_mb() - before_mb
    chunks = desk.show(scan).tally.chunks_total
    engine.dispose()
    return {"seconds": seconds, "mb": added_mb, "chunks": chunks}


def in_a_child(*arguments: str) -> dict[str, float]:
    """One measurement in a fresh process."""
    run = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(run.stdout)
    return figures


def report(name: str, figures: dict[str, float], **goals: float) -> None:
    """Two lines: time and memory."""
    for value, unit, goal in ((figures["seconds"], "s", "goal_s"), (figures["mb"], "MB", "goal_mb")):
        more = {key: round(figures[key], 1) for key in ("chunks", "allocated_mb") if key in figures}
        limit = {"goal": goals[goal], "ratio": round(value / goals[goal], 3)} if goal in goals else {}
        print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, **more, **limit}), flush=True)


def main() -> None:
    """Planning, then submits on PostgreSQL and SQLite."""
    report("plan_slash_8_by_1000_ports", in_a_child("plan"), goal_s=GOAL_SECONDS, goal_mb=GOAL_MB)
    report_streams()
    server = new_server()
    try:
        report("submit_slash_8_by_1000_ports_postgresql", in_a_child("submit", server.url), goal_mb=GOAL_MB)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db"
        report("submit_slash_8_by_1000_ports_sqlite", in_a_child("submit", url), goal_mb=GOAL_MB)


if __name__ == "__main__":
    if sys.argv[1:2] == ["plan"]:
        print(json.dumps(measure_planning()))
    elif sys.argv[1:2] == ["submit"]:
        print(json.dumps(measure_submit(sys.argv[2])))
    else:
        main()
