"""What taking in reads of a new scan grows with what it found, whatever PostgreSQL's statistics know of it."""

from __future__ import annotations

from sqlalchemy import text

from cloudx.services.search.take_in import TakeIn
from fixtures.diffs import scanned
from fixtures.ledgers import POSTGRESQL_ALONE, Desk, found

pytestmark = POSTGRESQL_ALONE
FINDINGS = 1024
READ = text("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('sightings', 'findings', 'hosts')")


def rows_read(desk: Desk) -> int:
    """By all sessions that have ended."""
    desk.engine.dispose()
    with desk.engine.connect() as connection:
        return int(connection.execute(READ).scalar_one())


def scan_it(desk: Desk) -> None:
    addresses = [f"10.0.{number // 256}.{number % 256}" for number in range(FINDINGS)]
    scanned(desk, *map(found, addresses), targets="10.0.0.0/22", rate_pps=10_000)


def test_a_scan_that_no_statistics_know_is_taken_in_by_its_keys(desk: Desk) -> None:
    scan_it(desk)
    assert TakeIn(desk.open_ledger)()
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    scan_it(desk)
    before = rows_read(desk)
    assert TakeIn(desk.open_ledger, window_rows=64)()
    read = rows_read(desk) - before
    assert read / FINDINGS < 40, f"{read} rows for {FINDINGS} findings"
