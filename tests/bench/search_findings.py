"""GET /api/findings over 10,000,000 findings (SQLite: 1,000,000): each filter alone and in pairs; what taking in costs.

`scripts/bench "search_findings [--findings N] [--sqlite N] [--rounds N] [--skip-ingest]"`. Goals: p99 below 50 ms
(SQLite: 100 ms); chunks go into the full ledger at 0.8 of the rate into an empty one, while the search takes them in.
The ledger is made by the server itself, with the rows that taking in would make. `processor` is what a request takes of
the API's and the database's processors together: on a machine busy with other work it says more than the time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import requests
from sqlalchemy import Engine, text

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.findings import Answer, FindingBlock
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput, complete_chunk
from cloudx.services.search.take_in import TakeIn
from fixtures.ledgers import Desk
from fixtures.servers.postgres import new_server

from .api_rates import bearer
from .diff_scans import api

FINDINGS = {"postgresql": 10_000_000, "sqlite": 1_000_000}
GOAL_MS = {"postgresql": 50, "sqlite": 100}
ROUNDS = 8  # different values of each filter and pair
SCANS, DAYS = 50, 50
PORTS_OF_A_HOST = 10
INGESTED, INGESTED_PORTS = 200_000, 20
SERVICES = ("http", "https", "ssh", "smtp", "dns", "imap", "mysql", "postgresql", "redis", "rdp", "vnc", "ftp")
PRODUCTS = ("nginx", "Apache httpd", "OpenSSH", "Postfix smtpd", "ISC BIND", "Dovecot imapd", "MySQL", "PostgreSQL DB",
            "Redis key-value store", "Microsoft Terminal Services", "RealVNC", "vsftpd")  # fmt: skip
COMMON_PORTS = (80, 443, 22, 25, 53, 143, 3306, 5432, 6379, 3389, 5900, 21)
NOW = datetime(2026, 11, 24, tzinfo=UTC)
AT = "%Y-%m-%d %H:%M:%S.%f"
FIRST, WIDTH = int(IPv4Address("10.0.0.0")), 16_000_000
ROWS_AT_ONCE = 500_000

# n is the finding's number, in order of time. Half of the ports are of a dozen, the others anywhere; of the dozen, the
# service follows the port, but for one of sixteen. The factors shuffle: neighbours in time are none in address.
_ROWS = f"""
    SELECT n * 7919 % :hosts AS host, '10.0.0.0'::inet + (n * 7919 % :hosts) * ({WIDTH} / :hosts) AS ip,
        CASE WHEN n % 2 = 0 THEN (ARRAY{list(COMMON_PORTS)})[1 + n / 2 % 12] ELSE 1 + (n * 31) % 60000 END AS port,
        CASE n % 40 WHEN 0 THEN 'udp' ELSE 'tcp' END AS protocol,
        1 + CASE WHEN n % 2 = 0 AND n % 32 <> 0 THEN n / 2 % 12 ELSE n * 13 % 12 END AS service,
        n * {SCANS} / :findings AS scan,
        timestamptz '{NOW.isoformat()}' - make_interval(secs => (:findings - n) * {DAYS * 86400}.0 / :findings) AS at
    FROM generate_series(CAST(:first AS bigint), :last) n
"""
INSERT = f"""
    INSERT INTO findings (scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra)
    SELECT ('0193' || lpad(to_hex(scan), 4, '0') || '-0000-7000-8000-000000000000')::uuid, ip, protocol, port, 'open',
        (ARRAY{list(SERVICES)})[service],
        CASE WHEN host % 3 = 0 THEN 'host-' || host || '.site' || (host % 50) || '.example' END, at, 'node-1',
        '{{"reason": "syn-ack", "product": "' || (ARRAY{list(PRODUCTS)})[service] || '"}}'
    FROM ({_ROWS}) made ON CONFLICT DO NOTHING
"""
_PRODUCT = """lower(substring(extra from '"product": "([^"]*)'))"""
SIGHT = (
    f"""INSERT INTO finding_kinds (protocol, port, state, service, product)
    SELECT DISTINCT protocol, port, state, lower(service), {_PRODUCT} FROM findings""",
    "INSERT INTO found_hostnames (name) SELECT DISTINCT hostname FROM findings WHERE hostname IS NOT NULL",
    "ANALYZE finding_kinds, found_hostnames, findings",
    f"""INSERT INTO sightings
        (ip, protocol, port, scan_id, kind_id, hostname_id, block, observed_at, seen_at, is_latest)
    SELECT f.ip, f.protocol, f.port, f.scan_id, k.id, h.id, set_masklen(inet(network(set_masklen(f.ip, 16))), 32),
        f.observed_at, f.observed_at,
        row_number() OVER (PARTITION BY f.ip, f.protocol, f.port ORDER BY f.observed_at DESC, f.scan_id DESC) = 1
    FROM (SELECT *, {_PRODUCT} AS product FROM findings) f
        JOIN finding_kinds k ON k.protocol = f.protocol AND k.port = f.port AND k.state = f.state
            AND k.service = lower(f.service) AND k.product = f.product
        LEFT JOIN found_hostnames h ON h.name = f.hostname
    ORDER BY f.observed_at""",
)
EMPTY = """TRUNCATE findings, sightings, chunks, attempts, scans, scan_targets, scan_nodes, finding_kinds,
    found_hostnames, judge_again"""


class Asked(NamedTuple):
    """A request, its seconds, and those of processors."""

    busy: float
    seconds: float
    query: dict[str, Any]


def scan_id(number: int) -> str:
    """Of a scan of the made ledger."""
    return f"0193{number:04x}-0000-7000-8000-000000000000"


def name_of(host: int) -> str | None:
    """A host's name; a third of them have one."""
    return None if host % 3 else f"host-{host}.site{host % 50}.example"


def fill_postgresql(engine: Engine, findings: int) -> None:
    """Findings first, then what taking in makes of them, then its indexes."""
    hosts = max(findings // PORTS_OF_A_HOST, 1)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0; SET synchronous_commit = off; SET work_mem = '256MB'")
        connection.exec_driver_sql("SET maintenance_work_mem = '512MB'")
        made = _without_indexes(connection)
        for first in range(0, findings, ROWS_AT_ONCE):
            bounds = {"first": first, "last": min(first + ROWS_AT_ONCE, findings) - 1}
            connection.execute(text(INSERT), bounds | {"hosts": hosts, "findings": findings})
        for statement in (*SIGHT, *made):
            connection.exec_driver_sql(statement.replace("%", "%%"))
        connection.exec_driver_sql("VACUUM ANALYZE")


def _without_indexes(connection: Any) -> list[str]:
    """Drop those of the search; how to make them again."""
    query = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'sightings' AND indexname <> 'pk_sightings'"
    indexes = connection.exec_driver_sql(query).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    return [definition for _, definition in indexes]


def made_rows(findings: int) -> Iterator[tuple[int, int, str, int, int, int, datetime]]:
    """The same as _ROWS: host, address, protocol, port, service, scan, time."""
    hosts = max(findings // PORTS_OF_A_HOST, 1)
    for n in range(findings):
        host, is_common = n * 7919 % hosts, n % 2 == 0
        port = COMMON_PORTS[n // 2 % 12] if is_common else 1 + n * 31 % 60_000
        service = n // 2 % 12 if is_common and n % 32 else n * 13 % 12
        at = NOW - timedelta(seconds=(findings - n) * DAYS * 86400 / findings)
        address = FIRST + host * (WIDTH // hosts)
        yield host, address, "tcp" if n % 40 else "udp", port, service, n * SCANS // findings, at


def fill_sqlite(file: str, findings: int) -> None:
    """The same, row by row."""
    kinds: dict[tuple[str, int, int], int] = {}
    rows: dict[tuple[int, str, int, int], tuple[int, int, int, datetime]] = {}
    for host, address, protocol, port, service, scan, at in made_rows(findings):
        kind = kinds.setdefault((protocol, port, service), len(kinds) + 1)
        rows.setdefault((address, protocol, port, scan), (host, kind, service, at))
    newest = {key[:3]: key[3] for key in rows}  # the later ones come later
    of_findings, of_sightings = [], []
    for number, ((address, protocol, port, scan), (host, kind, service, at)) in enumerate(rows.items(), 1):
        ip, of_scan, when = b"\4" + address.to_bytes(4, "big"), scan_id(scan).replace("-", ""), at.strftime(AT)
        extra, name = json.dumps({"reason": "syn-ack", "product": PRODUCTS[service]}), name_of(host)
        head = (of_scan, ip, protocol, port)
        of_findings.append((*head, "open", SERVICES[service], name, when, "node-1", extra))
        is_latest, name_id = newest[address, protocol, port] == scan, host + 1 if name else None
        block = ip[:3] + bytes(2)
        of_sightings.append((number, ip, protocol, port, of_scan, kind, name_id, block, when, when, is_latest))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA cache_size = -500000")
        words = ((number, *key[:2], SERVICES[key[2]], PRODUCTS[key[2]].lower()) for key, number in kinds.items())
        connection.executemany("INSERT INTO finding_kinds VALUES (?, ?, ?, 'open', ?, ?)", words)
        names = ((host + 1, name_of(host)) for host in range(0, max(findings // PORTS_OF_A_HOST, 1), 3))
        connection.executemany("INSERT INTO found_hostnames VALUES (?, ?)", names)
        connection.executemany(f"INSERT INTO findings VALUES ({', '.join('?' * 10)})", sorted(of_findings))
        connection.executemany(f"INSERT INTO sightings VALUES ({', '.join('?' * 11)})", of_sightings)
        connection.commit()
        connection.execute("ANALYZE")


def filters(choose: random.Random, findings: int) -> dict[str, Callable[[], dict[str, Any]]]:
    """A value of each filter, frequent or rare."""
    hosts = max(findings // PORTS_OF_A_HOST, 1)

    def address() -> IPv4Address:
        return IPv4Address(FIRST + choose.randrange(hosts) * (WIDTH // hosts))

    def moment() -> str:
        return (NOW - timedelta(days=choose.uniform(0, DAYS))).isoformat()

    def one_of(name: str, *values: str) -> Callable[[], dict[str, Any]]:
        return lambda: {name: choose.choice(values)}

    return {
        "ip": lambda: {"ip": str(address())},
        "cidr": lambda: {"cidr": f"{address()}/{choose.choice((8, 12, 16, 18, 20, 24, 28))}"},
        "port": lambda: one_of("port", "80", "22", "6379", "80,443", "1-1024", str(choose.randrange(1, 60_000)))(),
        "protocol": one_of("protocol", "tcp", "udp"),
        "service": one_of("service", "http", "SSH", "redis", "sql", "vnc"),
        "product": one_of("product", "nginx", "apache", "openssh", "key-value", "vnc"),
        "hostname": lambda: one_of("hostname", "example", "site7.", f"host-{choose.randrange(hosts)}.", "nowhere")(),
        "since": lambda: {"since": moment()},
        "until": lambda: {"until": moment()},
        "scan": lambda: {"scan": scan_id(choose.randrange(SCANS))},
        "latest": lambda: {"latest": "false"},
    }


def processor_seconds(processes: Sequence[psutil.Process]) -> float:
    """What they have taken of a processor so far."""
    tasks = (task for process in processes for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"))
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def measure(name: str, address: str, findings: int, rounds: int, processes: Callable[[], list[psutil.Process]]) -> None:
    """Each alone and each pair, so often with other values; then how deep pages fare."""
    choose = random.Random(14)
    chosen = filters(choose, findings)
    session = requests.Session()
    asked: dict[str, list[Asked]] = {}
    for which in [(), *((one,) for one in chosen), *itertools.combinations(chosen, 2)]:
        for _ in range(rounds):
            query: dict[str, Any] = {}
            for one in which:
                query |= chosen[one]()
            if query.get("since", "") > query.get("until", "9"):
                query["since"], query["until"] = query["until"], query["since"]
            before, started = processor_seconds(processes()), time.perf_counter()
            answer = session.get(f"{address}/api/findings", params=query, headers=bearer(), timeout=120)
            seconds = time.perf_counter() - started
            assert answer.status_code == 200, answer.text
            one_asked = Asked(processor_seconds(processes()) - before, seconds, query)
            asked.setdefault(" ".join(which) or "none", []).append(one_asked)
    _tell_times(name, findings, asked)
    first, deep = _depth(session, address)
    about = {"unit": "ms", "compared_with": f"the first pages: {first * 1000:.1f} ms", "ratio": round(deep / first, 2)}
    _tell(f"search_findings_deep_page_{name}", deep * 1000, about)


def _tell_times(name: str, findings: int, asked: dict[str, list[Asked]]) -> None:
    every = list(itertools.chain.from_iterable(asked.values()))
    for kind, goal in (("seconds", {"goal": f"< {GOAL_MS[name]}"}), ("busy", {})):
        times = sorted(getattr(one, kind) * 1000 for one in every)
        about = {"unit": "ms", "findings": findings, "requests": len(times)} | goal
        about |= {"median": round(statistics.median(times), 1), "longest": round(times[-1], 1)}
        shown = "p99" if kind == "seconds" else "processor_p99"
        _tell(f"search_findings_{shown}_{name}", times[int(len(times) * 0.99)], about)
    for one in sorted(every, reverse=True, key=lambda one: one.busy)[:20]:
        print(f"{one.busy * 1000:8.1f} ms of processors, {one.seconds * 1000:8.1f} ms: {one.query}", file=sys.stderr)


def _depth(session: requests.Session, address: str) -> tuple[float, float]:
    """Seconds of the first pages, and of those about the hundredth."""
    times: list[float] = []
    cursor: str | None = None
    for _ in range(100):
        started = time.perf_counter()
        query = {"cursor": cursor} if cursor else {}
        cursor = session.get(f"{address}/api/findings", params=query, headers=bearer()).json()["next_cursor"]
        times.append(time.perf_counter() - started)
        if cursor is None:
            break
    return statistics.median(times[:9]), statistics.median(times[-9:])


def _tell(name: str, value: float, more: dict[str, Any]) -> None:
    print(json.dumps({"name": name, "value": round(value, 2)} | more), flush=True)


def ingest_rate(url: str) -> tuple[float, float]:
    """Findings a second into the ledger, while another thread takes in as an API process does; and those taken in."""
    engine = engine_for(url)
    open_ledger = open_ledger_on(engine)
    desk, is_over = Desk(open_ledger, engine), threading.Event()

    def take() -> None:
        taking = TakeIn(open_ledger)
        while not (taking() and is_over.is_set()):
            time.sleep(0.1)

    last = IPv4Address(int(IPv4Address("10.128.0.0")) + INGESTED // INGESTED_PORTS - 1)
    desk.submit(f"10.128.0.0-{last}", ports=f"1-{INGESTED_PORTS}", rate_pps=INGESTED // 150)
    thread = threading.Thread(target=take)
    thread.start()
    seconds, count, began = 0.0, 0, time.perf_counter()
    while claim := desk.claim():
        desk.register("node-of-w1")
        block = block_of(claim)
        started = time.perf_counter()
        complete_chunk(open_ledger, claim, RunOutput([block]))
        seconds += time.perf_counter() - started
        count += len(block.cells)
    is_over.set()
    thread.join()
    whole = time.perf_counter() - began
    engine.dispose()
    return count / seconds, count / whole


def block_of(claim: Claim) -> FindingBlock:
    """Every port of a chunk, open."""
    assert claim.ports is not None
    numbers = [int(one) for one in claim.addresses]
    ports = [port for low, high in claim.ports.ranges for port in range(low, high + 1)]
    answer = Answer("tcp", "open", datetime.now(UTC), {"reason": "syn-ack", "ttl": 64})
    return FindingBlock(numbers, [answer], [row << 32 | port << 16 for row in range(len(numbers)) for port in ports])


def postgresql(findings: int, rounds: int, with_ingest: bool) -> None:
    """All of it on a server of its own."""
    server = new_server()
    try:
        engine = _prepared(server.url)
        empty = ingest_rate(server.url) if with_ingest else (0.0, 0.0)
        with engine.begin() as connection:
            connection.exec_driver_sql(EMPTY)
        started = time.perf_counter()
        fill_postgresql(engine, findings)
        print(f"made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, api(Path(folder), server.url) as (address, worker):
            postmaster = psutil.Process(server.pid)
            measure("postgresql", address, findings, rounds, lambda: [worker, *postmaster.children()])
        if with_ingest:
            full = ingest_rate(server.url)
            _tell("search_findings_ingest_postgresql", full[0], {
                "unit": "findings/s", "compared_with": f"into an empty ledger: {empty[0]:.0f}/s",
                "ratio": round(full[0] / empty[0], 2), "goal": ">= 0.8", "findings": findings,
                "taken_in_per_second": round(full[1]), "taken_in_per_second_empty": round(empty[1]),
            })  # fmt: skip
        engine.dispose()
    finally:
        server.remove()


def sqlite(findings: int, rounds: int) -> None:
    """The same on a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/cloudx.db"
        _prepared(f"sqlite:///{file}").dispose()
        fill_sqlite(file, findings)
        with api(Path(folder), f"sqlite:///{file}") as (address, worker):
            measure("sqlite", address, findings, rounds, lambda: [worker])


def _prepared(url: str) -> Engine:
    engine = engine_for(url)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    return engine


def main() -> None:
    """PostgreSQL, then SQLite."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--findings", type=int, default=FINDINGS["postgresql"], help="on PostgreSQL; 0: not there")
    parser.add_argument("--sqlite", type=int, default=FINDINGS["sqlite"], help="on SQLite; 0: not there")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="values of each filter and pair")
    parser.add_argument("--skip-ingest", action="store_true")
    options = parser.parse_args()
    if options.findings:
        postgresql(options.findings, options.rounds, not options.skip_ingest)
    if options.sqlite:
        sqlite(options.sqlite, options.rounds)


if __name__ == "__main__":
    main()
