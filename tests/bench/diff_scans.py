"""GET /api/scans/A/diff/B of two scans with a million findings each, beside a bare FULL JOIN of the same rows.

`scripts/bench diff_scans [FINDINGS]`. Of the findings 3 % opened, 5 % closed and 2 % changed. Goals: the first row
within 500 ms, the whole within 1.5 times the join by psql, less than 100 MB of memory. SQLite has no FULL JOIN of use
(200,000 findings took more than five minutes): there it is the two halves of one, by sqlite3, to nobody. Both run in
turn, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psutil
import requests

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.addresses import to_key
from cloudx.domain.findings import Finding
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server
from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment

from .api_rates import TOKEN, bearer

FINDINGS = 1_000_000
PORTS = 16
CHUNKS = 40  # in shuffled order, as a fleet commits them
ROUNDS = 5
FIRST = int(IPv4Address("10.0.0.0"))
SEEN_AT = datetime(2026, 11, 24, tzinfo=UTC)
SHARES = {"opened": range(3), "closed": range(3, 8), "changed": range(8, 10)}  # in percent
KEY = ("ip", "protocol", "port")


def becomes(number: int) -> str:
    """What becomes of the finding with this number, in the order of pages."""
    percent = number * 2_654_435_761 % 100
    return next((change for change, share in SHARES.items() if percent in share), "unchanged")


def findings_of(claim: Claim, is_first: bool) -> Iterator[Finding]:
    """What one of the scans finds in a chunk."""
    lacks = "opened" if is_first else "closed"
    assert claim.ports is not None
    ports = [port for first, last in claim.ports.ranges for port in range(first, last + 1)]
    for address in claim.addresses:
        for port in ports:
            change = becomes((to_key(address) - FIRST) * PORTS + port - 1)
            if change == lacks:
                continue
            state = "up" if change == "changed" and not is_first else "open"
            yield Finding(str(address), "tcp", port, state, SEEN_AT, None, None, {"reason": "syn-ack", "ttl": 64})


@dataclass(frozen=True)
class Pair:
    """Two scans that are over."""

    before_id: str
    after_id: str


def filled(url: str, findings: int) -> Pair:
    """A ledger with the two scans."""
    engine = engine_for(url)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    desk, ids = Desk(open_ledger, engine), []
    for is_first in (True, False):
        last = IPv4Address(FIRST + findings // PORTS - 1)
        rate_pps = max(1, findings // (15 * CHUNKS))  # a chunk is 15 s of sending
        ids.append(desk.submit(f"10.0.0.0-{last}", ports=f"1-{PORTS}", rate_pps=rate_pps).id)
        while claim := desk.claim(only_scan=ids[-1]):
            complete_chunk(open_ledger, claim, RunOutput(findings_of(claim, is_first)))
            desk.register("node-1")  # it beats
    engine.dispose()
    return Pair(*ids)


@contextmanager
def api(folder: Path, url: str) -> Iterator[tuple[str, psutil.Process]]:
    """A `cloudx serve` of one process, and that process."""
    port = free_port()
    settings = {"CLOUDX_DATA_DIR": str(folder), "PORT": str(port), "CLOUDX_ADMIN_TOKEN": TOKEN, "DATABASE_URL": url}
    environment = clean_environment(**settings, WEB_CONCURRENCY="1")
    process = subprocess.Popen([*CLOUDX, "serve"], env=environment, stdout=sys.stderr)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _is_ready(address):
            assert time.monotonic() < deadline, "the API does not become ready"
            time.sleep(0.1)
        (worker,) = psutil.Process(process.pid).children()
        yield address, worker
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/api/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def stream(address: str, pair: Pair, form: str) -> tuple[float, float, int]:
    """Seconds to the first row and to the last, and how many rows."""
    started = time.perf_counter()
    path = f"{address}/api/scans/{pair.before_id}/diff/{pair.after_id}"
    rows, first_seconds = 0, 0.0
    with requests.get(path, params={"format": form}, headers=bearer(), stream=True, timeout=600) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_content(1 << 16):
            first_seconds = first_seconds or time.perf_counter() - started
            rows += piece.count(b"\n")
    return first_seconds, time.perf_counter() - started, rows


def page(address: str, pair: Pair, **query: Any) -> tuple[float, dict[str, Any]]:
    """Seconds of one page, and the page."""
    started = time.perf_counter()
    path = f"{address}/api/scans/{pair.before_id}/diff/{pair.after_id}"
    answer = requests.get(path, params=query, headers=bearer(), timeout=600)
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - started, answer.json()


def full_join(pair: Pair) -> str:
    """All columns of what differs, in the order of pages."""
    sides = [f"(SELECT * FROM findings WHERE scan_id = '{one}')" for one in (pair.before_id, pair.after_id)]
    same_key = " AND ".join(f"a.{name} = b.{name}" for name in KEY)
    order = ", ".join(f"coalesce(a.{name}, b.{name})" for name in KEY)
    is_other = "a.ip IS NULL OR b.ip IS NULL OR a.state <> b.state"
    return f"SELECT * FROM {sides[0]} a FULL JOIN {sides[1]} b ON {same_key} WHERE {is_other} ORDER BY {order}"


def by_psql(url: str, pair: Pair) -> float:
    """Seconds of the FULL JOIN by psql, as it prints by itself, to nowhere."""
    started = time.perf_counter()
    command = ["psql", "-X", "-o", "/dev/null", "-c", full_join(pair), url.replace("+psycopg2", "")]
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def two_joins(pair: Pair) -> str:
    """The same for SQLite, which keeps ids without their hyphens: what the first scan has, then what it lacks."""
    before, after = (one.replace("-", "") for one in (pair.before_id, pair.after_id))
    same_key = " AND ".join(f"a.{name} = b.{name}" for name in KEY)
    return (
        f"SELECT a.*, b.* FROM findings a LEFT JOIN findings b ON b.scan_id = '{after}' AND {same_key} "
        f"WHERE a.scan_id = '{before}' AND (b.ip IS NULL OR a.state <> b.state) "
        f"UNION ALL SELECT {'NULL, ' * 10}b.* FROM findings b WHERE b.scan_id = '{after}' "
        f"AND NOT EXISTS (SELECT 1 FROM findings a WHERE a.scan_id = '{before}' AND {same_key})"
    )


def by_sqlite(url: str, pair: Pair) -> float:
    """Seconds of the same by sqlite3, to nowhere."""
    started = time.perf_counter()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for _ in connection.execute(two_joins(pair)):
            pass
    return time.perf_counter() - started


def peak_megabytes(process: psutil.Process) -> int:
    """The most that it ever had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measure(name: str, url: str, folder: Path, findings: int, bare: Callable[[str, Pair], float]) -> None:
    """Streams and the bare join in turn; then pages."""
    pair = filled(url, findings)
    _settle(url)
    with api(folder, url) as (address, process):
        empty_mb = peak_megabytes(process)
        runs = [(stream(address, pair, "ndjson"), bare(url, pair)) for _ in range(ROUNDS)]
        csv_seconds = stream(address, pair, "csv")[1]
        peak_mb = peak_megabytes(process)
        first_page_seconds, first = page(address, pair)
        later_seconds = [page(address, pair, cursor=first["next_cursor"])[0] for _ in range(ROUNDS)]
    assert {rows for (_, _, rows), _ in runs} == {sum(first["summary"].values()) - first["summary"]["unchanged"]}
    assert first["summary"]["not_observed"] == 0
    bare_seconds = statistics.median(seconds for _, seconds in runs)
    whole_seconds = statistics.median(whole for (_, whole, _), _ in runs)
    about = {"findings": findings, "differ": runs[0][0][2]}
    compared = {"compared_with": f"a bare join: {bare_seconds:.2f} s", "unit": "s"}
    goal = {"goal": "<= 1.5"} if bare is by_psql else {}
    ratio = {"ratio": _ratio(whole_seconds, bare_seconds)}
    _tell(f"diff_scans_{name}", whole_seconds, compared | ratio | goal | about)
    _tell(f"diff_scans_csv_{name}", csv_seconds, compared | {"ratio": _ratio(csv_seconds, bare_seconds)})
    first_ms = statistics.median(first_seconds for (first_seconds, _, _), _ in runs) * 1000
    _tell(f"diff_scans_first_row_{name}", first_ms, {"unit": "ms", "goal": "< 500"})
    _tell(
        f"diff_scans_first_page_{name}",
        first_page_seconds,
        compared | {"ratio": _ratio(first_page_seconds, bare_seconds)},
    )
    _tell(f"diff_scans_later_page_{name}", statistics.median(later_seconds) * 1000, {"unit": "ms"})
    _tell(f"diff_scans_memory_{name}", peak_mb - empty_mb, {"unit": "MB", "whole_process": peak_mb, "goal": "< 100"})


def _ratio(seconds: float, bare_seconds: float) -> float:
    return round(seconds / bare_seconds, 2)


def _tell(name: str, value: float, more: dict[str, Any]) -> None:
    print(json.dumps({"name": name, "value": round(value, 2)} | more), flush=True)


def _settle(url: str) -> None:
    """What a server does by itself some minutes after such an insert."""
    engine = engine_for(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE findings" if engine.dialect.name == "postgresql" else "ANALYZE")
    engine.dispose()


def main(findings: int) -> None:
    """PostgreSQL, then SQLite."""
    server = new_server()
    try:
        with tempfile.TemporaryDirectory() as folder:
            measure("postgresql", server.url, Path(folder), findings, by_psql)
    finally:
        server.remove()
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{folder}/cloudx.db", Path(folder), findings, by_sqlite)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else FINDINGS)
