"""Old scans and audit entries are removed in small transactions, and nothing else is. On both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select, update

from cloudx.adapters.database.schema.tables import attempts, audit, chunks, findings, hosts, inline_results, scans
from cloudx.domain.retention import Retention
from cloudx.domain.scans import Scan
from cloudx.services.ledger.ids import first_id_at
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.prune import Pruned, PruneLedger
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, found

TABLES = (scans, chunks, attempts, findings, hosts, inline_results)
AFTER_A_MONTH = Retention(scans_days=30)


@pytest.fixture
def old(desk: Desk) -> Scan:
    """A scan that found 300 ports and was over in 2001."""
    scan = desk.submit("10.1.0.0/24")
    claim = desk.must_claim(only_scan=scan.id)
    desk.complete(claim, *(found(str(ip)) for ip in claim.addresses))
    desk.run_to_end(scan)
    age(desk.engine, scan)
    return scan


def age(engine: Engine, scan: Scan) -> None:
    with engine.begin() as connection:
        connection.execute(update(scans).where(scans.c.id == scan.id).values(finished_at=LONG_AGO))


def rows_of(engine: Engine, scan: Scan) -> list[int]:
    with engine.connect() as connection:
        keys = [(table, table.c.id if table is scans else table.c.scan_id) for table in TABLES]
        counts = [select(func.count()).select_from(table).where(key == scan.id) for table, key in keys]
        return [int(connection.execute(count).scalar_one()) for count in counts]


def test_a_scan_that_was_over_long_ago_is_removed_with_all_that_belongs_to_it(desk: Desk, old: Scan) -> None:
    assert all(rows_of(desk.engine, old)[:4])
    pruned = PruneLedger(desk.open_ledger, AFTER_A_MONTH)()
    assert (pruned.scans, pruned.audit_entries) == (1, 0)
    assert pruned.rows >= 256
    assert rows_of(desk.engine, old) == [0] * len(TABLES)


def test_scans_that_run_or_were_over_lately_stay_whole(desk: Desk, old: Scan) -> None:
    lately, runs = desk.submit("10.2.0.0/24"), desk.submit("10.3.0.0/24")
    desk.run_to_end(lately)
    desk.must_claim(only_scan=runs.id)
    before = rows_of(desk.engine, lately), rows_of(desk.engine, runs)
    PruneLedger(desk.open_ledger, AFTER_A_MONTH)()
    assert (rows_of(desk.engine, lately), rows_of(desk.engine, runs)) == before


def test_without_an_age_nothing_is_removed(desk: Desk, old: Scan) -> None:
    before = rows_of(desk.engine, old)
    assert PruneLedger(desk.open_ledger, Retention())() == Pruned()
    assert rows_of(desk.engine, old) == before


def test_a_dry_run_tells_and_removes_nothing(desk: Desk, old: Scan) -> None:
    before = rows_of(desk.engine, old)
    assert PruneLedger(desk.open_ledger, AFTER_A_MONTH).would_remove() == Pruned(scans=1)
    assert rows_of(desk.engine, old) == before


def test_a_round_that_died_half_way_is_taken_up_by_the_next(desk: Desk, old: Scan) -> None:
    with desk.open_ledger() as ledger:
        assert all(ledger.old_records.remove_rows_of(old.id, 100) for _ in range(3))
        ledger.commit()
    assert 0 < rows_of(desk.engine, old)[3] < 256
    assert PruneLedger(desk.open_ledger, AFTER_A_MONTH)().scans == 1
    assert rows_of(desk.engine, old) == [0] * len(TABLES)


def test_a_stopped_scan_is_removed_too_and_the_grants_of_others_stay(desk: Desk) -> None:
    stopped, runs = desk.submit("10.2.0.0/24"), desk.submit("10.3.0.0/24")
    desk.must_claim("w1", only_scan=stopped.id)
    desk.must_claim("w2", only_scan=runs.id)
    stop_scan(desk.open_ledger, stopped.id, ADMIN)
    age(desk.engine, stopped)
    PruneLedger(desk.open_ledger, AFTER_A_MONTH)()
    assert rows_of(desk.engine, stopped) == [0] * len(TABLES)
    assert desk.books(runs) == desk.recounted(runs)


def test_old_entries_of_the_audit_trail_go_and_it_tells_of_that(desk: Desk, open_ledger: OpenLedger) -> None:
    desk.submit("10.2.0.0/24")
    with open_ledger(read_only=True) as ledger:
        now, entries = ledger.now(), ledger.audit.entries(1000)
    long_ago = now - timedelta(days=400)
    with desk.engine.begin() as connection:
        connection.execute(update(audit).where(audit.c.id == entries[-1].id).values(id=first_id_at(long_ago)))
    assert PruneLedger(open_ledger, Retention(audit_days=365))().audit_entries == 1
    with open_ledger(read_only=True) as ledger:
        left = ledger.audit.entries(1000)
    assert [entry.id for entry in left[1:]] == [entry.id for entry in entries[:-1]]
    assert (left[0].principal, left[0].action) == ("cloudx", "prune")
