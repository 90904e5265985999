"""Who probed one address, of 10,000 scans with 1,000,000 attempts over 30 days? Goal: 100 ms at most, the slowest too.

The scans share one network, so that each has the address: only the time and the place tell them apart. Every tenth has
1,000 ranges of targets. Beside them one scan of a /8 that goes on all that time, in 100,000 chunks. Each answer is
compared with what a search of all attempts finds. `scripts/bench find_probes [SCANS]`.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

from sqlalchemy import Engine, insert, literal, select, text

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.adapters.database.repositories.scan_rows import bulk_values, scan_values
from cloudx.adapters.database.schema.tables import attempts, scan_targets, scans
from cloudx.domain.addresses import AddressSet
from cloudx.domain.scans import Scan
from cloudx.domain.targets import parse_targets
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.ledger.ids import new_id
from cloudx.services.scans.find_probes import FindProbes, ProbesOf
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

SCANS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
CHUNKS, CHUNKS_OF_THE_LARGE = 100, 100_000
BEGIN, DAYS = datetime(2026, 11, 1, tzinfo=UTC), timedelta(days=30)
LASTS = timedelta(minutes=5)
LOOKUPS = 200
GOAL_MS = 100
NETWORK = parse_targets("10.77.0.0/16").addresses
LIST = parse_targets([f"10.77.{number // 4}.{number % 4 * 64}/27" for number in range(1000)]).addresses
LARGE = parse_targets("10.0.0.0/8").addresses


def filled(url: str) -> Desk:
    """A ledger with the scans and their attempts."""
    engine = engine_for(url)
    upgrade(engine)
    desk = Desk(open_ledger_on(engine), engine)
    ensure_first_scope(desk.open_ledger)
    template = desk.submit("10.77.0.1")
    steps = DAYS / SCANS
    for number in range(SCANS):
        began = BEGIN + number * steps
        add(engine, template, LIST if number % 10 == 9 else NETWORK, CHUNKS, began, began + LASTS)
    add(engine, template, LARGE, CHUNKS_OF_THE_LARGE, BEGIN, BEGIN + DAYS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return desk


def add(engine: Engine, template: Scan, addresses: AddressSet, chunks: int, began: datetime, ended: datetime) -> None:
    """One scan, and an attempt at each of its chunks that lasts as long as the scan."""
    scan = replace(template, id=new_id(), addresses=addresses, started_at=began, finished_at=ended)
    size = -(-addresses.size // chunks)
    numbers = select(literal(0).label("number")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < chunks - 1))
    of_scan = [literal(scan.id, attempts.c.scan_id.type), numbers.c.number, literal(1), literal("node"), literal("w")]
    times = [literal(moment, attempts.c.started_at.type) for moment in (began, ended)]
    span = [numbers.c.number * size, literal(size), literal(0), literal(1), literal(1)]
    columns = (
        "scan_id number attempt node_id worker_id started_at ended_at outcome address_start address_count port_start"
    )
    rows = select(*of_scan, *times, literal("done"), *span)
    with engine.begin() as connection:
        connection.execute(insert(scans).values(**scan_values(scan), chunks_total=chunks, widest_chunk=size))
        connection.execute(insert(scan_targets).values(**bulk_values(scan)))
        connection.execute(insert(attempts).from_select([*columns.split(), "port_count", "policy_version"], rows))


def measure(database: str, url: str) -> None:
    """One JSON line each."""
    desk = filled(url)
    find = FindProbes(desk.open_ledger, desk.policies)
    chance = random.Random(77)
    seconds: list[float] = []
    for number in range(LOOKUPS):
        address = IPv4Address(int(IPv4Address("10.77.0.0")) + chance.randrange(1 << 16))
        at = BEGIN + DAYS * chance.random()
        started = time.perf_counter()
        answer = find(str(address), at)
        seconds.append(time.perf_counter() - started)
        if number % 20 == 0:
            assert len(answer.probes) == searched(desk.engine, answer, address), answer
    rows = desk.count("attempts")
    assert rows == SCANS * CHUNKS + CHUNKS_OF_THE_LARGE
    say(f"find_probes_median_{database}", statistics.median(seconds) * 1000, rows, None)
    say(f"find_probes_slowest_{database}", max(seconds) * 1000, rows, f"≤ {GOAL_MS}")
    desk.engine.dispose()


def searched(engine: Engine, answer: ProbesOf, address: IPv4Address) -> int:
    """How many attempts there are, by reading those of all scans that have the address."""
    key = int(address)
    offsets = {name: those.index_of_key(key) for name, those in (("n", NETWORK), ("l", LIST), ("g", LARGE))}
    count = 0
    with engine.connect() as connection:
        query = select(scans.c.id, scan_targets.c.addresses).join(scan_targets, scan_targets.c.scan_id == scans.c.id)
        for scan_id, lines in connection.execute(query.where(scans.c.chunks_total >= CHUNKS)).all():
            kind = "n" if lines == NETWORK.texts()[0] else "g" if lines == LARGE.texts()[0] else "l"
            offset, row = offsets[kind], attempts.c
            if offset is None:
                continue
            mine = (row.scan_id == scan_id, row.started_at <= answer.until, row.ended_at >= answer.since)
            has_it = (row.address_start <= offset, row.address_start + row.address_count > offset)
            count += len(connection.execute(select(row.number).where(*mine, *has_it)).all())
    return count


def say(name: str, value: float, rows: int, goal: str | None) -> None:
    """One JSON line."""
    line = {"name": name, "value": round(value, 2), "unit": "ms", "attempts": rows} | ({"goal": goal} if goal else {})
    print(json.dumps(line), flush=True)


def main() -> None:
    """SQLite, then PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db")
    server = new_server()
    try:
        measure("postgresql", server.url)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
