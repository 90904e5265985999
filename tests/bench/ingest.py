"""masscan's file to committed PostgreSQL rows, beside COPY of the same rows alone.

`scripts/bench ingest [FINDINGS]`. Goal: at least 0.4 of COPY's speed, in
bounded memory. Each run is a process of its own on a real PostgreSQL with fsync
on; COPY gets a ready text file and the same table.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from ipaddress import IPv4Address
from pathlib import Path

import psycopg2

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.tools import SCAN_TYPES, Tool
from cloudx.scanners.masscan.records import Replies
from cloudx.scanners.masscan.scanner import RESULTS_FILE, Masscan
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.chunks.scanner_port import Assignment
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

ROUNDS = 3
FINDINGS = 1_000_000
PORTS = 16
FIRST = int(IPv4Address("10.0.0.0"))
# As masscan 1.3.2 writes it with -oD (out-ndjson.c).
RECORD = (
    '{{"ip":"{ip}","timestamp":"{seconds}","port":{port},"proto":"tcp","rec_type":"status",'
    '"data":{{"status":"open","reason":"syn-ack","ttl":{ttl}}}}}\n'
)
COLUMNS = "scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra"
SCAN_ID = "01900000-0000-7000-8000-000000000000"


def write_files(folder: Path, findings: int) -> None:
    """The same findings in the random order of a scan: as masscan's NDJSON, and as COPY's text."""
    order = list(range(findings))
    random.Random(1).shuffle(order)
    with open(folder / RESULTS_FILE, "w") as ndjson, open(folder / "rows", "w") as rows:
        for place, number in enumerate(order):
            ip, port = IPv4Address(FIRST + number // PORTS), 1 + number % PORTS
            seconds, ttl = 1_795_538_480 + place // 20_000, 50 + place % 7
            ndjson.write(RECORD.format(ip=ip, seconds=seconds, port=port, ttl=ttl))
            extra = json.dumps({"reason": "syn-ack", "ttl": ttl})
            moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
            rows.write(f"{SCAN_ID}\t{ip}\ttcp\t{port}\topen\t\\N\t\\N\t{moment}\tbench\t{extra}\n")


def ingest(url: str, folder: Path, findings: int) -> float:
    """Seconds from the file to the commit, by the code the worker runs."""
    engine = engine_for(url)
    desk = Desk(open_ledger_on(engine), engine)
    addresses = -(-findings // PORTS)
    targets = f"10.0.0.0-{IPv4Address(FIRST + addresses - 1)}"
    desk.submit(targets, ports=f"1-{PORTS}", rate_pps=10_000_000)
    claim = desk.must_claim()
    assert claim.units == addresses * PORTS, "the findings are to be one chunk"
    assignment = Assignment(
        SCAN_TYPES[Tool.MASSCAN, "tcp_scan"], claim.addresses, claim.ports, claim.lease.rate_pps, True, None
    )
    started = time.perf_counter()
    replies = Replies(assignment)
    replies.read_on(folder / RESULTS_FILE)
    replies.save(folder)
    stored = complete_chunk(desk.open_ledger, claim, RunOutput(Masscan().findings(assignment, folder)))
    seconds = time.perf_counter() - started
    assert stored == desk.count("findings") == findings
    return seconds


def copy_alone(url: str, folder: Path, findings: int) -> float:
    """Seconds of COPY and commit."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    started = time.perf_counter()
    with connection.cursor() as cursor, open(folder / "rows") as rows:
        cursor.copy_expert(f"COPY findings ({COLUMNS}) FROM STDIN", rows, 1 << 16)
    connection.commit()
    seconds = time.perf_counter() - started
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM findings")
        assert cursor.fetchone() == (findings,)
    connection.close()
    return seconds


def measure(kind: str, url: str, folder: Path, findings: int) -> tuple[float, int]:
    """(seconds, peak resident MB) of one kind in a process of its own, on an empty table."""
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE findings, hosts, chunks, attempts, scans")
    with connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("CHECKPOINT")  # no run pays for the writes of the one before
    connection.close()
    done = subprocess.run(
        [sys.executable, __file__, kind, url, folder, str(findings)], check=True, capture_output=True, text=True
    )
    seconds, peak_kib = done.stdout.split()
    return float(seconds), int(peak_kib) // 1024


def peak_resident_kib() -> int:
    """Of this process since its exec (getrusage counts in what its parent was at the fork)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def main(findings: int) -> None:
    """Both kinds in turn, ROUNDS times; medians."""
    server = new_server()
    try:
        engine = engine_for(server.url)
        upgrade(engine)
        ensure_first_scope(open_ledger_on(engine))
        engine.dispose()
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), findings)
            runs = [
                (
                    measure("copy", server.url, Path(folder), findings),
                    measure("ingest", server.url, Path(folder), findings),
                )
                for _ in range(ROUNDS)
            ]
    finally:
        server.remove()
    copy_seconds = statistics.median(copy[0] for copy, _ in runs)
    our_seconds = statistics.median(ours[0] for _, ours in runs)
    lines = [
        {
            "name": "ingest", "value": round(findings / our_seconds), "unit": "findings/s",
            "compared_with": f"COPY of the same rows alone: {round(findings / copy_seconds)} rows/s",
            "ratio": round(copy_seconds / our_seconds, 2), "goal": ">= 0.4", "findings": findings,
        },
        {
            "name": "ingest_peak_memory", "value": max(ours[1] for _, ours in runs), "unit": "MB",
            "compared_with": "COPY alone, MB", "goal": "bounded",
            "ratio": round(max(ours[1] for _, ours in runs) / max(copy[1] for copy, _ in runs), 2),
        },
    ]  # fmt: skip
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] in (["copy"], ["ingest"]):
        kind, url, folder, findings = sys.argv[1:]
        seconds = (copy_alone if kind == "copy" else ingest)(url, Path(folder), int(findings))
        print(seconds, peak_resident_kib())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else FINDINGS)
