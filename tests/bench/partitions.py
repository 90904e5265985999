"""Would partitions of the findings by their scan's month win on PostgreSQL? Each step beside the plain table.

`scripts/bench "partitions [FINDINGS_A_MONTH]"`: the same year of scans in the table as it is and in one cut by range of
scan_id, which grows with time (UUID version 7). Steps: COPY into the newest month, a page of one scan, a page of each
of 100 scans, and the oldest month gone with its space usable again (DELETE by scan and VACUUM; DROP of the partition).
`ratio` is partitioned ÷ plain: below 1, the partitions win. docs/adr/0032 decides.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg2

from cloudx.adapters.database import engine_for, upgrade
from fixtures.servers.postgres import new_server

MONTHS, SCANS = 12, 20
FINDINGS = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000  # a month
PAGE = 1_000
_COLUMNS = "scan_id, ip, protocol, port, state, observed_at, node_id"


def id_at(moment: datetime, number: int = 0) -> str:
    """The UUID version 7 of a scan submitted then (RFC 9562, 5.7)."""
    return str(uuid.UUID(int=(int(moment.timestamp() * 1000) + number) << 80 | 0x7 << 76 | 0x2 << 62 | number))


def month(number: int) -> datetime:
    """The beginning of a month; from 12 on, of the next year."""
    return datetime(2026 + number // 12, 1 + number % 12, 1, tzinfo=UTC)


class Table:
    """The findings of a year in one database, plain or cut by months."""

    def __init__(self, url: str, is_cut: bool) -> None:
        engine = engine_for(url)
        upgrade(engine)
        engine.dispose()
        self._connection = psycopg2.connect(url.replace("postgresql+psycopg2", "postgresql"))
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._is_cut = is_cut
        if is_cut:
            self._cut()

    def _cut(self) -> None:
        self.run("DROP TRIGGER IF EXISTS guard_findings ON findings")
        self.run("ALTER TABLE findings RENAME TO plain; ALTER INDEX pk_findings RENAME TO pk_plain")
        self.run("CREATE TABLE findings (LIKE plain INCLUDING DEFAULTS) PARTITION BY RANGE (scan_id)")
        self.run("ALTER TABLE findings ADD PRIMARY KEY (scan_id, ip, protocol, port)")
        for number in range(MONTHS):
            bounds = f"FROM ('{id_at(month(number))}') TO ('{id_at(month(number + 1))}')"
            self.run(f"CREATE TABLE findings_{number} PARTITION OF findings FOR VALUES {bounds}")

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement; its rows."""
        self._cursor.execute(statement, values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def fill(self, number: int) -> None:
        """COPY a month of scans."""
        each = FINDINGS // SCANS
        for scan in range(SCANS):
            head, tail = id_at(month(number), scan), f"tcp\t80\topen\t{month(number).isoformat()}\tnode-1"
            rows = "".join(f"{head}\t10.{n >> 16}.{n >> 8 & 255}.{n & 255}\t{tail}\n" for n in range(each))
            self._cursor.copy_expert(f"COPY findings ({_COLUMNS}) FROM STDIN", io.StringIO(rows))

    def page(self, number: int, scan: int) -> None:
        """The first page of a scan."""
        query = f"SELECT * FROM findings WHERE scan_id = %s ORDER BY ip, protocol, port LIMIT {PAGE}"
        assert len(self.run(query, id_at(month(number), scan))) == min(PAGE, FINDINGS // SCANS)

    def pages(self) -> None:
        """Of a hundred scans."""
        chosen = random.Random(1)
        for _ in range(100):
            self.page(chosen.randrange(1, MONTHS), chosen.randrange(SCANS))

    def forget_oldest(self) -> None:
        """The first month, gone, and its space usable again."""
        if self._is_cut:
            self.run("DROP TABLE findings_0")
            return
        for scan in range(SCANS):
            self.run("DELETE FROM findings WHERE scan_id = %s", id_at(month(0), scan))
        self.run("VACUUM findings")

    def close(self) -> None:
        """End."""
        self._connection.close()


def compare(plain: Table, cut: Table) -> None:
    """One line a step."""
    for table in (plain, cut):
        for number in range(MONTHS - 1):
            table.fill(number)
        table.run("VACUUM ANALYZE findings")
    steps: dict[str, Callable[[Table], None]] = {
        "copy_a_month": lambda table: table.fill(MONTHS - 1), "page_of_a_scan": lambda table: table.page(5, 5),
        "pages_of_100_scans": Table.pages, "forget_a_month": Table.forget_oldest,
    }  # fmt: skip
    for name, step in steps.items():
        seconds = []
        for table in (plain, cut):
            started = time.perf_counter()
            step(table)
            seconds.append(time.perf_counter() - started)
        line = {"name": f"partitions_{name}", "value": round(seconds[1], 4), "unit": "s", "plain": round(seconds[0], 4)}
        print(json.dumps(line | {"ratio": round(seconds[1] / seconds[0], 2), "rows": MONTHS * FINDINGS}), flush=True)


def main() -> None:
    """Both tables, on one server."""
    server = new_server()
    try:
        for name in ("plain", "cut"):
            server.execute(f"CREATE DATABASE {name}")
        plain, cut = Table(server.url_of("plain"), False), Table(server.url_of("cut"), True)
        compare(plain, cut)
        plain.close()
        cut.close()
    finally:
        server.remove()


if __name__ == "__main__":
    main()
