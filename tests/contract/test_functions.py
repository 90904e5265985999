"""After an upgrade a database has the functions and triggers of the files in sql/, on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from structlog.testing import capture_logs

from cloudx.adapters.database import engine_for, upgrade
from cloudx.adapters.database.schema import functions
from cloudx.adapters.database.schema.functions import SQL
from cloudx.adapters.database.schema.rights import BACKEND, OWNER, WORKER
from cloudx.adapters.database.schema.upgrade import downgrade
from contract.test_concurrent_workers import run_at_once
from fixtures.servers.postgres import PostgresServer, new_server

ROUNDS = 10  # without the lock one of the first three fails
OTHER_CLAMP = (
    "CREATE OR REPLACE FUNCTION cloudx_clamp_pps(share bigint, free bigint) RETURNS bigint "
    "LANGUAGE sql IMMUTABLE AS 'SELECT 0::bigint'"
)
BY_HAND = {
    "postgresql": (
        OTHER_CLAMP,
        "ALTER FUNCTION cloudx_claim_chunk RESET plan_cache_mode",
        "DROP FUNCTION cloudx_renew_chunks",
        "DROP FUNCTION cloudx_count_chunk CASCADE",
        "DROP TRIGGER count_chunk ON chunks",
        "ALTER TABLE chunks DISABLE TRIGGER forget_chunks",
        "CREATE OR REPLACE TRIGGER count_chunk AFTER UPDATE OF state ON chunks FOR EACH ROW "
        "EXECUTE FUNCTION cloudx_count_chunk()",
    ),
    "sqlite": (
        "DROP TRIGGER count_chunk",
        "DROP TRIGGER forget_chunks",
        "DROP TRIGGER forget_chunks; CREATE TRIGGER forget_chunks AFTER DELETE ON chunks BEGIN SELECT 1; END",
    ),
}


def definitions(engine: Engine) -> set[tuple[str, str]]:
    """Our functions and triggers, as the database has them."""
    queries = {
        "postgresql": r"""
            SELECT proname::text, pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'cloudx\_%'
            UNION ALL SELECT tgname::text, pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger
            WHERE NOT tgisinternal
        """,
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    }
    with engine.connect() as connection:
        return {(row[0], row[1]) for row in connection.execute(text(queries[engine.dialect.name]))}


def execute(engine: Engine, statements: str) -> None:
    """By the driver, which takes several; SQLite's has a call of its own for that."""
    connection = engine.raw_connection()
    try:
        if engine.dialect.name == "sqlite":
            connection.driver_connection.executescript(statements)  # type: ignore[union-attr]
        else:
            connection.cursor().execute(statements)
            connection.commit()
    finally:
        connection.close()


def test_each_file_makes_what_it_is_named_after(empty: Engine) -> None:
    upgrade(empty)
    made = {name for name, _ in definitions(empty)}
    if empty.dialect.name == "postgresql":
        assert {f"cloudx_{file.stem}" for file in SQL.glob("*.sql")} == {
            name for name in made if name.startswith("cloudx_")
        }
    tell = {"tell_new_scan", "tell_status", "tell_gone_scan", "tell_claim", "tell_outcome"}
    tell |= {"tell_new_node", "tell_verdict", "tell_gone_node", "queue_scan", "queue_node"}
    assert {file.stem for file in (SQL / "sqlite").glob("*.sql")} == {"count_chunk", "forget_chunks", *tell}
    assert {"count_chunk", "forget_chunks"} <= made


def test_what_was_changed_by_hand_is_right_again_after_an_upgrade(empty: Engine) -> None:
    upgrade(empty)
    before = definitions(empty)
    for change in BY_HAND[empty.dialect.name]:
        execute(empty, change)
        assert definitions(empty) != before, change
        upgrade(empty)
        assert definitions(empty) == before, change


def test_a_changed_file_reaches_the_database_without_a_migration(
    empty: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(empty)
    before = definitions(empty)
    monkeypatch.setattr(functions, "SQL", shutil.copytree(SQL, tmp_path / "sql"))
    for file in (tmp_path / "sql" / "count_chunk.sql", tmp_path / "sql" / "sqlite" / "count_chunk.sql"):
        file.write_text(file.read_text().replace("OF state, sending, rate_pps", "OF sending, state, rate_pps"))
    upgrade(empty)
    changed = {name for name, _ in definitions(empty) ^ before}
    assert changed == {"count_chunk"}


def test_an_upgrade_with_nothing_to_do_writes_nothing(empty: Engine) -> None:
    upgrade(empty)
    statements: list[str] = []
    event.listen(empty, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    upgrade(empty)
    reads = ("SELECT", "PRAGMA", "BEGIN")
    assert statements
    assert [statement for statement in statements if not statement.lstrip().upper().startswith(reads)] == []


def test_what_went_down_comes_up_with_the_same_functions_and_triggers(empty: Engine) -> None:
    upgrade(empty)
    before = definitions(empty)
    for revision in ("0005", "0004", "base"):
        downgrade(empty, revision)
        assert definitions(empty) == set()
        upgrade(empty)
        assert definitions(empty) == before


def test_many_that_replace_the_functions_at_once_all_succeed(postgres_database: str) -> None:
    engines = [engine_for(postgres_database) for _ in range(8)]
    upgrade(engines[0])
    before = definitions(engines[0])
    for _ in range(ROUNDS):
        execute(engines[0], f"{OTHER_CLAMP}; DROP TRIGGER count_chunk ON chunks")
        run_at_once(*[partial(upgrade, engine) for engine in engines])
        assert definitions(engines[0]) == before
    for engine in engines:
        engine.dispose()


def test_every_sql_file_is_shipped_with_the_package() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    package = SQL.parents[2]
    shipped = {
        file for pattern in settings["tool"]["setuptools"]["package-data"]["cloudx"] for file in package.glob(pattern)
    }
    files = set(SQL.rglob("*.sql"))
    assert files
    assert files <= shipped


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresServer]:
    """A server with the roles and the schema's rights that `cloudx cluster set-up` gives, and logins as Vault's are."""
    server = new_server(is_durable=False)
    for group in (OWNER, BACKEND, WORKER):
        server.execute(f"CREATE ROLE {group}")
    for login, group in (("migrate_1", OWNER), ("migrate_2", OWNER), ("backend", BACKEND), ("worker", WORKER)):
        server.execute(f"CREATE ROLE {login} LOGIN IN ROLE {group}")
    for login in ("migrate_1", "migrate_2"):
        server.execute(f"ALTER ROLE {login} SET role = '{OWNER}'")
    server.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    server.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    server.execute(f"GRANT USAGE ON SCHEMA public TO {BACKEND}, {WORKER}")
    yield server
    server.remove()


@pytest.fixture
def as_login(cluster: PostgresServer, new_engine: Callable[[str], Engine]) -> Callable[[str], Engine]:
    """An engine by a login of the cluster, on its upgraded database."""

    def open_as(login: str) -> Engine:
        return new_engine(cluster.url.replace("cloudx@", f"{login}@"))

    upgrade(open_as("migrate_1"))
    return open_as


def test_the_functions_belong_to_the_owner_role_so_that_the_next_migrate_login_can_replace_them(
    as_login: Callable[[str], Engine],
) -> None:
    before = definitions(as_login("migrate_1"))
    execute(as_login("migrate_1"), OTHER_CLAMP)
    upgrade(as_login("migrate_2"))
    assert definitions(as_login("migrate_1")) == before
    query = r"SELECT DISTINCT pg_get_userbyid(proowner) FROM pg_proc WHERE proname LIKE 'cloudx\_%'"
    with as_login("migrate_2").connect() as connection:
        assert connection.execute(text(query)).scalars().all() == [OWNER]


@pytest.mark.parametrize("login", ["backend", "worker"])
def test_a_login_that_does_not_own_the_functions_starts_on_another_versions_and_says_so(
    as_login: Callable[[str], Engine], login: str
) -> None:
    execute(as_login("migrate_1"), OTHER_CLAMP)
    others = definitions(as_login("migrate_1"))
    with capture_logs() as logs:
        upgrade(as_login(login))
    assert definitions(as_login("migrate_1")) == others
    assert [(entry["event"], entry["functions"]) for entry in logs] == [("database.functions_differ", ["clamp_pps"])]
    upgrade(as_login("migrate_1"))
    with capture_logs() as logs:
        upgrade(as_login(login))
    assert logs == []


@pytest.mark.parametrize("login", ["backend", "worker"])
def test_a_function_made_again_can_be_called_by_every_group(as_login: Callable[[str], Engine], login: str) -> None:
    execute(as_login("migrate_1"), "DROP FUNCTION cloudx_clamp_pps")
    upgrade(as_login("migrate_1"))
    with as_login(login).connect() as connection:
        assert connection.execute(text("SELECT cloudx_clamp_pps(10, 7)")).scalar_one() == 7
