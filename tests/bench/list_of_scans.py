"""GET /api/scans of 300 finished scans and 300 of 100,000 targets: the first answer of a fresh API, and later ones.

Goals: < 300 ms; its bytes beyond results < 1 MB; on SQLite and on PostgreSQL. `scripts/bench list_of_scans [SCANS]`.
The baseline reads the same rows and documents by SQL alone and writes them with the standard library's json.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import requests
from sqlalchemy import Engine, text

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.adapters.database.schema.tables import inline_results, scan_targets, scans
from cloudx.domain.findings import Finding
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.ledger.ids import new_id
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, Desk
from fixtures.servers.postgres import new_server
from fixtures.servers.service import CLOUDX, free_port
from rig.environment import clean_environment

from .api_rates import TOKEN, bearer

SCANS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
TARGETS = 100_000
HOSTS = 200  # with two open ports each, in every finished scan
ROUNDS = 21
FIRST = int(IPv4Address("10.0.0.0"))
SEEN_AT = datetime(2026, 11, 24, tzinfo=UTC)
_COLUMNS = "id, tool, target_head, scan_type, status, created_at, name, error"


def filled(url: str) -> Engine:
    """A ledger with as many finished scans as large ones; the large ones were stopped at once."""
    engine = engine_for(url)
    upgrade(engine)
    desk = Desk(open_ledger_on(engine), engine)
    ensure_first_scope(desk.open_ledger)
    separate = " ".join(str(IPv4Address(FIRST + 2 * number)) for number in range(TARGETS))
    hosts = [str(IPv4Address(FIRST + number)) for number in range(HOSTS)]
    findings = [Finding(ip, "tcp", port, "open", SEEN_AT) for ip in hosts for port in (80, 443)]
    large = desk.submit(separate, rate_pps=10_000_000)
    stop_scan(desk.open_ledger, large.id, ADMIN)
    for number in range(SCANS):
        desk.register("node-1")  # it beats
        desk.submit("10.0.0.0/22", ports="80,443", rate_pps=10_000_000)
        desk.complete(desk.must_claim(), *findings)
        if number:
            copy_scan(engine, large.id)
    return engine


def copy_scan(engine: Engine, scan_id: str) -> None:
    """One more of the same: to submit it would take a second."""
    copy_id = new_id()
    with engine.begin() as connection:
        for table, key in ((scans, "id"), (scan_targets, "scan_id"), (inline_results, "scan_id")):
            row = connection.execute(table.select().where(table.c[key] == scan_id)).mappings().one()
            connection.execute(table.insert().values(**{**row, key: copy_id}))


@contextmanager
def api(folder: Path, url: str) -> Iterator[str]:
    """A fresh `cloudx serve` that has answered nothing but that it is ready."""
    port = free_port()
    settings = {"CLOUDX_DATA_DIR": str(folder), "PORT": str(port), "CLOUDX_ADMIN_TOKEN": TOKEN, "DATABASE_URL": url}
    process = subprocess.Popen([*CLOUDX, "serve"], env=clean_environment(**settings), stdout=sys.stderr)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _is_ready(address):
            assert time.monotonic() < deadline, "the API does not become ready"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"{address}/api/ready", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def timed_list(address: str) -> tuple[float, bytes]:
    """Milliseconds of one GET /api/scans, and its body."""
    started = time.perf_counter()
    answer = requests.get(f"{address}/api/scans", headers=bearer(), timeout=120)
    spent = time.perf_counter() - started
    assert answer.status_code == 200 and int(answer.headers["X-Total-Count"]) == 2 * SCANS
    return spent * 1000, answer.content


def plain_milliseconds(engine: Engine) -> float:
    """SQL and json alone: the same columns, the same documents."""
    columns = _COLUMNS.replace("scan_type", "type_name AS scan_type")
    started = time.perf_counter()
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT {columns} FROM scans ORDER BY id DESC")).mappings().all()
        kept = connection.execute(text("SELECT scan_id, packed FROM inline_results")).all()
    documents = {scan_id: json.loads(zlib.decompress(bytes(packed))) for scan_id, packed in kept}
    json.dumps([{**row, "results": documents.get(row["id"])} for row in rows], default=str)
    return (time.perf_counter() - started) * 1000


def measure(name: str, url: str, folder: Path) -> None:
    """A cold answer, warm ones, and their size beside what the results take."""
    engine = filled(url)
    with api(folder, url) as address:
        cold_ms, body = timed_list(address)
        warm_ms = statistics.median(timed_list(address)[0] for _ in range(ROUNDS))
    plain_ms = statistics.median(plain_milliseconds(engine) for _ in range(5))
    engine.dispose()
    shown = json.loads(body)
    assert sum(scan["results"] is not None for scan in shown) == 2 * SCANS, "every finished scan shows its results"
    results_bytes = sum(len(json.dumps(scan["results"], separators=(",", ":"))) for scan in shown)
    compared = {"compared_with": f"SQL and json alone: {plain_ms:.0f} ms", "scans": len(shown)}
    for which, spent_ms in (("cold", cold_ms), ("warm", warm_ms)):
        line = {"name": f"list_of_scans_{which}_{name}", "value": round(spent_ms), "unit": "ms", "goal": "< 300 ms"}
        print(json.dumps(line | {"ratio": round(spent_ms / plain_ms, 2)} | compared), flush=True)
    beyond = {"value": len(body) - results_bytes, "unit": "bytes", "goal": "< 1,000,000", "results": results_bytes}
    print(json.dumps({"name": f"list_of_scans_beyond_results_{name}"} | beyond), flush=True)


def main() -> None:
    """SQLite, then PostgreSQL."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure("sqlite", f"sqlite:///{folder}/cloudx.db", folder)
    server = new_server()
    try:
        with tempfile.TemporaryDirectory() as name:
            measure("postgresql", server.url, Path(name))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
