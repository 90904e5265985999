"""A scan of 1,000,000 findings pruned: how long any batch holds its locks. Goal: 100 ms at most.

Beside it one DELETE of as many rows, as one would type it by hand. `scripts/bench prune [FINDINGS]`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address

from sqlalchemy import Engine, delete, update

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.adapters.database.schema.tables import findings, scans
from cloudx.domain.findings import Finding
from cloudx.domain.retention import MOST_BATCH_SECONDS, Retention
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.scans.prune import PruneLedger
from fixtures.ledgers import LONG_AGO, Desk
from fixtures.servers.postgres import new_server

FINDINGS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
PORTS = 16
FIRST = int(IPv4Address("10.0.0.0"))
SEEN_AT = datetime(2026, 11, 24, tzinfo=UTC)


def filled(url: str) -> tuple[Desk, Engine, list[str]]:
    """A ledger with two scans that were over long ago, of FINDINGS each."""
    engine = engine_for(url)
    upgrade(engine)
    desk = Desk(open_ledger_on(engine), engine)
    ensure_first_scope(desk.open_ledger)
    ids = []
    for _ in range(2):
        last = IPv4Address(FIRST + -(-FINDINGS // PORTS) - 1)
        scan = desk.submit(f"10.0.0.0-{last}", ports=f"1-{PORTS}", rate_pps=10_000_000)
        numbers = range(FINDINGS)
        rows = (Finding(str(IPv4Address(FIRST + n // PORTS)), "tcp", 1 + n % PORTS, "open", SEEN_AT) for n in numbers)
        desk.complete(desk.must_claim(), *rows)
        ids.append(scan.id)
    return desk, engine, ids


def measure(database: str, url: str) -> None:
    """One JSON line each."""
    desk, engine, (first, second) = filled(url)
    started = time.monotonic()
    with engine.begin() as connection:
        connection.execute(delete(findings).where(findings.c.scan_id == first))
    bare_seconds = time.monotonic() - started
    with engine.begin() as connection:
        connection.execute(update(scans).where(scans.c.id == second).values(finished_at=LONG_AGO))
    timed = Timed(desk.open_ledger)
    started = time.monotonic()
    pruned = PruneLedger(timed, Retention(scans_days=1))()
    seconds = time.monotonic() - started
    assert pruned.scans == 1
    assert pruned.rows >= FINDINGS
    say(
        f"prune_longest_batch_{database}",
        timed.longest_seconds * 1000,
        "ms",
        f"≤ {MOST_BATCH_SECONDS * 1000:.0f}",
        None,
    )
    say(f"prune_{database}", seconds, "s", None, bare_seconds)
    engine.dispose()


class Timed:
    """Opens transactions of a ledger, and keeps how long the longest of those that write has lasted."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self.longest_seconds = 0.0
        self._open_ledger = open_ledger

    @contextmanager
    def __call__(self, *, read_only: bool = False, at_once: bool = False) -> Iterator[Ledger]:
        """As OpenLedger has it."""
        started = time.monotonic()
        with self._open_ledger(read_only=read_only, at_once=at_once) as ledger:
            yield ledger
        if not read_only:
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)


def say(name: str, value: float, unit: str, goal: str | None, bare: float | None) -> None:
    """One JSON line."""
    line = {"name": name, "value": round(value, 3), "unit": unit} | ({"goal": goal} if goal else {})
    if bare is not None:
        line |= {"compared_with": "one DELETE", "alone": round(bare, 3), "ratio": round(value / bare, 2)}
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
