"""The first and the deepest page of a scan with a million findings, on PostgreSQL and on SQLite.

`scripts/bench result_pages [FINDINGS]`. Goal: the deepest at most 1.2 times the first.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.findings import Finding
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.ledger.records import FindingKey
from cloudx.services.scans.results import page_findings
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

FINDINGS = 1_000_000
PORTS = 16
PAGE = 1000
ROUNDS = 101
FIRST = int(IPv4Address("10.0.0.0"))
SEEN_AT = datetime(2026, 11, 24, tzinfo=UTC)


def ip_of(number: int) -> str:
    """The address of the finding with this number, in the order of pages."""
    return str(IPv4Address(FIRST + number // PORTS))


def findings_of(count: int) -> Iterator[Finding]:
    """As many open ports, in the order of their addresses."""
    extra = {"reason": "syn-ack", "ttl": 64}
    for number in range(count):
        yield Finding(ip_of(number), "tcp", 1 + number % PORTS, "open", SEEN_AT, None, None, extra)


def filled(url: str, findings: int) -> tuple[Desk, str]:
    """A ledger with one finished scan."""
    engine = engine_for(url)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    desk = Desk(open_ledger, engine)
    scan = desk.submit(f"10.0.0.0-{ip_of(findings - 1)}", ports=f"1-{PORTS}", rate_pps=10_000_000)
    assert complete_chunk(open_ledger, desk.must_claim(), RunOutput(findings_of(findings))) == findings
    return desk, scan.id


def milliseconds(desk: Desk, scan_id: str, after: FindingKey | None) -> float:
    """Of one page, as the API reads it."""
    started = time.perf_counter()
    rows, _ = page_findings(desk.open_ledger, scan_id, after, PAGE)
    spent = time.perf_counter() - started
    assert len(rows) == PAGE
    return spent * 1000


def measure(name: str, url: str, findings: int) -> None:
    """Both pages in turn, so that whatever else the machine does falls on both."""
    desk, scan_id = filled(url, findings)
    last_before = findings - PAGE - 1
    deepest = (ip_of(last_before), "tcp", 1 + last_before % PORTS)
    first_ms, deepest_ms = [], []
    for _ in range(ROUNDS):
        first_ms.append(milliseconds(desk, scan_id, None))
        deepest_ms.append(milliseconds(desk, scan_id, deepest))
    desk.engine.dispose()
    first, last = statistics.median(first_ms), statistics.median(deepest_ms)
    line = {
        "name": f"result_pages_{name}", "value": round(last, 2), "unit": "ms",
        "compared_with": f"the first page of {PAGE}: {first:.2f} ms", "ratio": round(last / first, 2),
        "goal": "<= 1.2", "findings": findings,
    }  # fmt: skip
    print(json.dumps(line), flush=True)


def main(findings: int) -> None:
    """PostgreSQL, then SQLite."""
    server = new_server()
    try:
        measure("postgresql", server.url, findings)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/ledger.db", findings)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else FINDINGS)
