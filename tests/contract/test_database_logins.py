"""The logins of the database that Vault makes for the cluster's tasks: what each may do, and what none may."""

from __future__ import annotations

from dataclasses import replace

import psycopg2
import pytest
from psycopg2 import errors
from sqlalchemy import create_engine

from cloudx.adapters.database import open_ledger_on, upgrade
from cloudx.cluster.identity_ports import DatabaseLogin
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.servers.identities import Identities


@pytest.fixture(scope="module")
def schema(identities: Identities) -> Identities:
    """The tables, made as the backend's prestart task makes them."""
    engine = create_engine(identities.database_login("migrate").replace("postgresql://", "postgresql+psycopg2://"))
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    engine.dispose()
    return identities


def test_the_tables_belong_to_the_shared_owner_so_a_migrate_login_leaves_nothing_behind(schema):
    with schema.connect("migrate") as session, session.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [("cloudx_owner",)]
        cursor.execute("SELECT session_user")
        (login,) = cursor.fetchone()
    session.close()
    schema.vault.call("PUT", "/v1/sys/leases/revoke-prefix/database/creds/migrate")
    with psycopg2.connect(f"postgresql://cloudx@{schema.plan.database_address}") as admin, admin.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,))
        assert cursor.fetchone() is None
    admin.close()


def _refused(schema: Identities, role: str, statement: str) -> bool:
    session = schema.connect(role)
    try:
        with session, session.cursor() as cursor:
            cursor.execute(statement)
        return False
    except errors.InsufficientPrivilege:
        return True
    finally:
        session.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM tokens",
        "SELECT * FROM audit",
        "INSERT INTO scopes SELECT * FROM scopes",
        "DELETE FROM findings",
        "UPDATE policy_version SET version = 0",
        "DELETE FROM scans",
        "UPDATE chunks SET attempt = attempt",
        "SELECT * FROM scans FOR UPDATE",
        "LOCK TABLE chunks IN SHARE MODE",
        "SELECT pg_advisory_lock(1)",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE chunks ADD mine int",
    ],
)
def test_a_worker_reads_no_token_and_changes_no_policy_schema_or_lease_by_itself(schema, statement):
    assert _refused(schema, "worker", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT scan_id, number, state FROM chunks",
        "SELECT * FROM scans, scan_targets, scopes, exclusions, policy_version",
        "SELECT * FROM cloudx_claim_chunk(gen_random_uuid(), 'w', 'key', 'n', 1, 1, 12)",
        "SELECT * FROM cloudx_lock_chunk(gen_random_uuid(), 1, 1, 'w', 'key')",
        "SELECT version_num FROM alembic_version",
    ],
)
def test_a_worker_can_claim_and_complete(schema, statement):
    assert not _refused(schema, "worker", statement)


@pytest.mark.parametrize("statement", ["CREATE TABLE mine (x int)", "DROP TABLE scans", "ALTER TABLE scans ADD x int"])
def test_the_backend_cannot_change_the_schema(schema, statement):
    assert _refused(schema, "backend", statement)


def test_the_backend_reads_and_writes_every_table(schema):
    session = schema.connect("backend")
    with session, session.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename != 'alembic_version'")
        tables = [name for (name,) in cursor.fetchall()]
        assert len(tables) > 10
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            cursor.execute(f"DELETE FROM {table} WHERE false")
    session.close()


def test_the_backend_starts_on_a_current_schema_without_any_right_to_change_it(schema):
    engine = create_engine(schema.database_login("backend").replace("postgresql://", "postgresql+psycopg2://"))
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    engine.dispose()


def test_nobody_enters_the_database_without_a_password_or_with_an_old_one(schema):
    for who in ("cloudx_vault@", "cloudx_vault:@", "cloudx_owner:x@", "postgres@"):
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(f"postgresql://{who}{schema.plan.database_address}", connect_timeout=5)


def test_only_vault_knows_the_password_of_its_login_after_the_set_up(identities):
    login = DatabaseLogin("cloudx_vault", "known-to-us")
    identities.set_up.database.prepare(login)
    url = f"postgresql://cloudx_vault:known-to-us@{identities.plan.database_address}"
    psycopg2.connect(url).close()
    identities.set_up.vault.put_connection(
        "cloudx", identities.plan.database_address, login, tuple(identities.set_up.files.vault_database)
    )
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(url)
    psycopg2.connect(identities.database_login("backend")).close()


def test_logins_live_as_long_as_the_plan_says(identities):
    identities.set_up.run(replace(identities.plan, login_ttl="40s", login_max_ttl="80s"))
    made = identities.vault.call("GET", "/v1/database/creds/worker")
    identities.set_up.run(identities.plan)
    assert made["lease_duration"] == 40
    assert identities.vault.call("GET", "/v1/database/creds/worker")["lease_duration"] == 3600
