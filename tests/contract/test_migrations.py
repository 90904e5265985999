"""The migrations make exactly the tables of tables.py, up and down, on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
import threading
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

from cloudx.adapters.database import engine_for, open_ledger_on, schema_problem, upgrade
from cloudx.adapters.database.schema import trigrams
from cloudx.adapters.database.schema.tables import metadata
from cloudx.adapters.database.schema.upgrade import HEAD, MIGRATIONS, _run_migrations, current_revision, downgrade
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.results.document import ResultsDocument
from cloudx.services.results.keep import read_results
from contract.test_concurrent_workers import run_at_once

UUID_HEX = "01900000000070008000000000000001"  # as SQLite has it; PostgreSQL reads it too
VERSIONS = MIGRATIONS / "versions"


def tables_of(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_is_told_apart_from_one_that_is_up_to_date(empty: Engine) -> None:
    assert "run `cloudx db upgrade`" in (schema_problem(empty) or "")
    upgrade(empty)
    assert schema_problem(empty) is None


def test_the_migrations_make_what_tables_py_says(empty: Engine) -> None:
    upgrade(empty)
    with empty.connect() as connection:
        # The index by pg_trgm is there where the server has that extension.
        compared = {"compare_type": True, "include_name": lambda name, *_: name != trigrams.INDEX}
        context = MigrationContext.configure(connection, opts=compared)
        assert compare_metadata(context, metadata) == []
    assert tables_of(empty) == set(metadata.tables)


def test_an_upgrade_that_has_nothing_to_do_keeps_the_data(empty: Engine) -> None:
    upgrade(empty)
    ensure_first_scope(open_ledger_on(empty))
    upgrade(empty)
    ensure_first_scope(open_ledger_on(empty))
    with open_ledger_on(empty)(read_only=True) as ledger:
        assert len(ledger.policies.scopes()) == 1


def test_what_went_up_comes_down_and_goes_up_again(empty: Engine) -> None:
    upgrade(empty)
    downgrade(empty, "base")
    assert tables_of(empty) == set()
    upgrade(empty)
    assert tables_of(empty) == set(metadata.tables)


def test_many_processes_that_start_at_once_upgrade_once(empty: Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)
    failures: list[BaseException] = []

    def start_up() -> None:
        engine = engine_for(url)
        try:
            upgrade(engine)
            ensure_first_scope(open_ledger_on(engine))
        except BaseException as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with open_ledger_on(empty)(read_only=True) as ledger:
        assert len(ledger.policies.scopes()) == 1
    with empty.connect() as connection:
        assert current_revision(connection) == HEAD


def test_many_processes_can_be_the_first_to_open_a_sqlite_file(tmp_path: Path) -> None:
    for number in range(200):  # without retries, one file in 100 refused a process
        engines = [engine_for(f"sqlite:///{tmp_path / f'{number}.db'}") for _ in range(8)]
        run_at_once(*[partial(_connect, engine) for engine in engines])


def _connect(engine: Engine) -> None:
    with engine.connect():
        pass
    engine.dispose()


def test_migrations_define_no_function_and_no_trigger() -> None:
    for path in VERSIONS.rglob("[0-9]*.py"):
        assert re.findall(r"(?i)\b(?:create|drop)\b.*\b(?:function|trigger)\b", path.read_text()) == [], path.name


def test_head_is_the_newest_migration_file() -> None:
    revisions = sorted(re.match(r"(\d+)_", path.name)[1] for path in VERSIONS.rglob("[0-9]*.py"))  # type: ignore[index]
    assert revisions[-1] == HEAD
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


def test_a_database_that_cannot_be_opened_is_an_outage_with_a_remedy(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'missing' / 'ledger.db'}", "postgresql+psycopg2://cloudx@127.0.0.1:1/none"):
        engine = engine_for(url)
        with pytest.raises(DependencyUnavailable, match="Check DATABASE_URL"):
            upgrade(engine)
        assert "does not answer" in (schema_problem(engine) or "")
        engine.dispose()


def test_a_deleted_first_scope_stays_deleted_after_the_next_start(empty: Engine) -> None:
    upgrade(empty)
    ensure_first_scope(open_ledger_on(empty))
    with open_ledger_on(empty)() as ledger:
        assert ledger.policies.delete_scope(ledger.policies.scopes()[0].id)
        ledger.commit()
    ensure_first_scope(open_ledger_on(empty))
    with empty.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM scopes")).scalar() == 0


def test_what_was_counted_before_is_counted_by_node_afterwards_and_the_other_way_round(empty: Engine) -> None:
    with empty.connect() as connection:
        _run_migrations(connection, "0004")
        connection.commit()
    with empty.begin() as connection:
        _insert(
            connection, "scans", id=UUID_HEX, tool="masscan", type_name="tcp_scan", target_text="", addresses="",
            rate_pps=9, excluded_addresses=0, host_names="{}", created_at="2026-01-01", created_by="", priority=0,
            status="running", chunks_total=5, chunks_done=2, chunks_failed=1, completed_units=18, failed_units=10,
            excluded_units=2,
        )  # fmt: skip
        held = (("done", "a", 2), ("done", "b", 0), ("failed", "b", 0), ("leased", "a", 0), ("pending", None, 0))
        for number, (state, node, excluded) in enumerate(held):
            _insert(
                connection, "chunks", scan_id=UUID_HEX, number=number, address_start=0, address_count=10, port_start=0,
                port_count=1, claim_order=0, state=state, attempt=1, node_id=node, rate_pps=3,
                sending=state == "leased", sent_share=0.0, excluded_units=excluded, failures=0, failed_nodes="",
            )  # fmt: skip
    upgrade(empty)
    counted = "granted_pps, chunks_leased, chunks_done, chunks_failed, completed_units, failed_units, excluded_units"
    with empty.connect() as connection:
        rows = connection.execute(text(f"SELECT node_id, {counted} FROM scan_nodes ORDER BY node_id")).all()
        assert [tuple(row) for row in rows] == [("a", 3, 1, 1, 0, 8, 0, 2), ("b", 0, 0, 1, 1, 10, 10, 0)]
        assert connection.execute(text("SELECT node_id, granted_pps FROM node_grants")).all() == [("a", 3)]
    downgrade(empty, "0004")
    with empty.connect() as connection:
        sums = "chunks_done, chunks_failed, completed_units, failed_units, excluded_units"
        assert tuple(connection.execute(text(f"SELECT {sums} FROM scans")).one()) == (2, 1, 18, 10, 2)


def test_a_name_of_an_address_becomes_the_first_of_its_names_and_the_other_way_round(empty: Engine) -> None:
    with empty.connect() as connection:
        _run_migrations(connection, "0006")
        _insert(
            connection, "scans", id=UUID_HEX, tool="nmap", type_name="tcp", target_text="", addresses="10.0.0.5",
            rate_pps=9, excluded_addresses=0, host_names='{"10.0.0.5": "a.test"}', created_at="2026-01-01",
            created_by="", priority=0, status="running", chunks_total=0,
        )  # fmt: skip
        connection.commit()
    upgrade(empty)
    with open_ledger_on(empty)(read_only=True) as ledger:
        record = ledger.scans.get(str(UUID(UUID_HEX)))
    assert record is not None
    assert (record.scan.host_names, record.scan.excluded_names, record.scan.warnings) == (
        {"10.0.0.5": ("a.test",)}, (), (),
    )  # fmt: skip
    downgrade(empty, "0006")
    with empty.connect() as connection:
        assert connection.execute(text("SELECT host_names FROM scans")).scalar() == '{"10.0.0.5": "a.test"}'


def _insert(connection: Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def test_what_may_be_large_of_a_scan_moves_to_a_table_of_its_own_and_back(empty: Engine) -> None:
    with empty.connect() as connection:
        _run_migrations(connection, "0006")
        connection.commit()
    long_text = " ".join(f"10.0.{number}.1" for number in range(256))
    addresses = "10.0.0.1\n10.0.1.1-10.0.1.9"
    written = {"target_text": long_text, "addresses": addresses, "ports": "80,90-99", "host_names": "{}"}
    with empty.begin() as connection:
        _insert(
            connection, "scans", id=UUID_HEX, tool="masscan", type_name="tcp_scan", rate_pps=9, excluded_addresses=5,
            created_at="2026-01-01", created_by="", priority=0, status="running", chunks_total=1, **written,
        )  # fmt: skip
        _insert(connection, "inline_results", scan_id=UUID_HEX, document=b'{"truncated":true,"document":{"hosts":[]}}')
    upgrade(empty)
    with empty.connect() as connection:
        columns = "target_head, target_truncated, target_count, units_per_address"
        head, is_cut, count, units = connection.execute(text(f"SELECT {columns} FROM scans")).one()
        moved = connection.execute(text("SELECT * FROM scan_targets")).mappings().one()
    assert (head, bool(is_cut), count, units) == (long_text[:2048], True, 10 + 5, 11)
    assert {name: moved[name] for name in written} == written
    with open_ledger_on(empty)(read_only=True) as ledger:
        assert read_results(ledger, [UUID_HEX])[str(UUID(UUID_HEX))] == ResultsDocument(b'{"hosts":[]}', truncated=True)
    downgrade(empty, "0006")
    with empty.connect() as connection:
        row = connection.execute(text(f"SELECT {', '.join(written)} FROM scans")).mappings().one()
        assert dict(row) == written


def test_an_older_attempt_gets_what_its_chunk_covers_and_of_a_cut_one_all_of_the_planned_chunk(empty: Engine) -> None:
    with empty.connect() as connection:
        _run_migrations(connection, "0013")
        connection.commit()
    # Chunk 1 had the addresses 100-299; it was cut into 1, 2 and 3, and its part 2 into 2 and 4.
    parts = {0: (0, 100, None), 1: (100, 50, None), 2: (150, 25, 1), 3: (200, 100, 1), 4: (175, 25, 1)}
    tries = [(0, 1), (0, 2), (1, 1), (2, 1), (4, 1)]
    with empty.begin() as connection:
        _insert(
            connection, "scans", id=UUID_HEX, tool="masscan", type_name="tcp_scan", rate_pps=9, excluded_addresses=0,
            created_at="2026-01-01", created_by="", priority=0, status="running", chunks_total=5, target_head="",
            target_truncated=False, target_count=300, units_per_address=7, udp_too=False, resolve=False,
        )  # fmt: skip
        for number, (start, count, cut_from) in parts.items():
            _insert(
                connection, "chunks", scan_id=UUID_HEX, number=number, address_start=start, address_count=count,
                port_start=3, port_count=4, claim_order=0, state="pending", attempt=1, rate_pps=3, sending=False,
                sent_share=0.0, excluded_units=0, failures=0, failed_nodes="", cut_from=cut_from,
            )  # fmt: skip
        for number, attempt in tries:
            _insert(
                connection, "attempts", scan_id=UUID_HEX, number=number, attempt=attempt, node_id="n", worker_id="w",
                started_at="2026-01-01",
            )  # fmt: skip
        _insert(
            connection, "exclusions", id=UUID_HEX, targets="[]", note="", created_at="2026-01-01", created_by="",
            addresses="",
        )  # fmt: skip
    upgrade(empty)
    with empty.connect() as connection:
        query = (
            "SELECT number, attempt, address_start, address_count, port_start, port_count FROM attempts ORDER BY 1, 2"
        )
        spans = {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(text(query))}
        assert spans == {one: (0, 100, 3, 4) if one[0] == 0 else (100, 200, 3, 4) for one in tries}
        assert connection.execute(text("SELECT widest_chunk FROM scans")).scalar() == 200
        assert connection.execute(text("SELECT source_ip, policy_version FROM attempts")).first() == (None, None)
        assert connection.execute(text("SELECT policy_version FROM exclusions")).scalar() == 0
    downgrade(empty, "0013")
    with empty.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM attempts")).scalar() == len(tries)
