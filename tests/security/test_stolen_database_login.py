"""One worker's login on PostgreSQL is stolen: Vault's, on what `cluster set-up` prepared, and Compose's."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from sqlalchemy import Engine

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.adapters.database.repositories.server_functions import LEASE_KEY
from cloudx.adapters.database.schema.functions import SQL
from cloudx.adapters.database.schema.tables import metadata
from cloudx.cluster.adapters.postgres_roles import PostgresRoles
from cloudx.cluster.identity_ports import DatabaseLogin
from cloudx.domain.findings import HostFinding
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.renew import RenewalResult
from fixtures.ledgers import SEEN_AT, Desk, desk_without_node, found
from fixtures.servers.postgres import PostgresServer, new_server

ROOT = Path(__file__).parents[2]
VAULT = ROOT / "vault" / "database"
TABLES = [*metadata.tables, "alembic_version"]
UNREADABLE = (
    "tokens",
    "audit",
    "idempotency_keys",
    "attempts",
    "removed_scopes",
    "webhooks",
    "deliveries",
    "schedules",
)
LOCKS = ("SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")
OF_SCANS = ("chunks", "scans", "scan_targets", "scan_nodes", "attempts", "findings", "hosts", "inline_results")
# A chunk of the thief's, done: what is left to say are the excluded and the failed units.
SETTLE = (
    "SELECT is_ours FROM cloudx_settle_chunk('{}', {}, 1, 'thief', 'key', 'done', false, 1, 1, NULL, {}, {}, 0, "
    "NULL, NULL, NULL)"
)
GUESSED_KEY = "0" * len(LEASE_KEY)


@dataclass(frozen=True)
class Install:
    """A server with the product's roles and rights, and the names of its logins."""

    server: PostgresServer
    migrate: str
    backend: str
    worker: str
    stolen: str


def by_vault(server: PostgresServer) -> Install:
    """As `cloudx cluster set-up` prepares it; each login is made by Vault's own statements."""
    admin_url = server.url_of("").replace("+psycopg2", "").rstrip("/")
    PostgresRoles(admin_url, "cloudx").prepare(DatabaseLogin("cloudx_vault", "x"))
    logins = {"v-migrate": "migrate", "v-backend": "backend", "v-worker": "worker", "v-thief": "worker"}
    for name, role in logins.items():
        for statement in json.loads((VAULT / f"{role}.json").read_text())["creation_statements"]:
            values = {"{{name}}": name, "{{password}}": "secret", "{{expiration}}": "2999-01-01"}
            for placeholder, value in values.items():
                statement = statement.replace(placeholder, value)
            server.execute(statement)
    return Install(server, *logins)


def by_compose(server: PostgresServer, folder: Path) -> Install:
    """As the Compose file's PostgreSQL prepares itself, twice; all workers share one login."""
    server.execute("CREATE DATABASE cloudx")
    passwords = folder / "postgres_logins"
    passwords.write_text("cloudx_migrate:a\ncloudx_api:b\ncloudx_scan:c\n")
    own = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "POSTGRES_USER": "cloudx", "POSTGRES_DB": "cloudx"}
    files = {"LOGINS_FILE": str(passwords), "CLOSE_DATABASE": str(SQL / "cluster" / "close_database.sql")}
    for _ in range(2):
        subprocess.run([ROOT / "postgres" / "make-logins"], env=os.environ | own | files, check=True)
    return Install(server, "cloudx_migrate", "cloudx_api", "cloudx_scan", "cloudx_scan")


@pytest.fixture(scope="module", params=["vault", "compose"])
def install(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """A server of its own, prepared in each of the two ways."""
    server = new_server(is_durable=False)
    yield by_vault(server) if request.param == "vault" else by_compose(server, tmp_path_factory.mktemp("secrets"))
    server.remove()


@pytest.fixture(scope="module")
def engine_of(install: Install) -> Iterator[Callable[[str], Engine]]:
    """An engine by a login, on the migrated database."""
    opened: list[Engine] = []

    def open_as(login: str) -> Engine:
        opened.append(engine_for(install.server.url_of("cloudx").replace("cloudx@", f"{login}@")))
        return opened[-1]

    upgrade(open_as(install.migrate))
    ensure_first_scope(open_ledger_on(open_as(install.backend)))
    yield open_as
    for engine in opened:
        engine.dispose()


@pytest.fixture
def office(install: Install, engine_of: Callable[[str], Engine]) -> Iterator[Desk]:
    """The API's login; the scans of a test are gone after it."""
    office = Desk(open_ledger_on(engine := engine_of(install.backend)), engine)
    yield office
    with engine.begin() as connection:
        for table in OF_SCANS:
            connection.exec_driver_sql(f"DELETE FROM {table}")


@pytest.fixture
def victim(install: Install, engine_of: Callable[[str], Engine]) -> Desk:
    """Another VPS's worker, with a login of its own."""
    return desk_without_node(engine_of(install.worker))


@pytest.fixture
def thief(install: Install, engine_of: Callable[[str], Engine]) -> Iterator[Thief]:
    """Whoever has the stolen login, with any client of PostgreSQL."""
    thief = Thief(session_of(install))
    yield thief
    thief.session.close()


def session_of(install: Install) -> Any:
    """A session by the stolen login."""
    return psycopg2.connect(host="127.0.0.1", port=install.server.port, user=install.stolen, dbname="cloudx")


class Thief:
    """A session by the stolen login: each call is a transaction, which is kept where it succeeds."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def rows(self, *statements: str, **values: object) -> list[tuple[Any, ...]]:
        """The rows of the last of these statements, in one transaction."""
        with self.session, self.session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def is_refused(self, *statements: str, **values: object) -> None:
        """PostgreSQL says that the login may not."""
        with pytest.raises(errors.InsufficientPrivilege):
            self.rows(*statements, **values)

    def settle(self, claim: Claim, key: str, how: str = "done", **more: int) -> bool:
        """Say that a lease has ended; True if the server took it."""
        values = {"excluded": 0, "failed": 0} | more
        statement = (
            "SELECT is_ours FROM cloudx_settle_chunk(%(scan)s, %(number)s, %(attempt)s, %(worker)s, %(key)s, %(how)s, "
            "true, 1.0, 1, 'stolen', %(excluded)s, %(failed)s, 0, 3, '', 0)"
        )
        return bool(self.rows(statement, key=key, how=how, **fence(claim), **values)[0][0])

    def settle_own(self, scan_id: str, number: int) -> bool:
        """Say that a chunk claimed with the key `key` is done."""
        return bool(self.rows(SETTLE.format(scan_id, number, 0, 0))[0][0])

    def claim(self, scan_id: str, key: str, share: int = 1, limit: int = 1000, seconds: float = 12) -> tuple[Any, ...]:
        """Lease a chunk by the function."""
        statement = "SELECT * FROM cloudx_claim_chunk(%(scan)s, 'thief', %(key)s, 'n', %(share)s, %(limit)s, %(for)s)"
        return self.rows(statement, scan=scan_id, key=key, share=share, limit=limit, **{"for": seconds})[0]


def fence(claim: Claim) -> dict[str, object]:
    """All of a lease that tables, the API and logs tell."""
    lease = claim.lease
    return {"scan": lease.scan_id, "number": lease.span.number, "attempt": lease.attempt, "worker": lease.worker_id}


@pytest.mark.parametrize("table", TABLES)
def test_no_row_of_any_table_is_changed_removed_locked_or_reserved(thief: Thief, office: Desk, table: str) -> None:
    with office.engine.connect() as connection:
        query = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public'"
        columns = connection.exec_driver_sql(query, (table,)).scalars().all()
    assert columns
    for column in columns:
        thief.is_refused(f"UPDATE {table} SET {column} = DEFAULT")
    thief.is_refused(f"DELETE FROM {table}")
    thief.is_refused(f"TRUNCATE {table}")
    thief.is_refused(f"SELECT 1 FROM {table} FOR KEY SHARE")
    for lock in LOCKS:
        thief.is_refused(f"LOCK TABLE {table} IN {lock} MODE")
    if table != "findings":
        thief.is_refused(f"INSERT INTO {table} DEFAULT VALUES")


@pytest.mark.parametrize("table", UNREADABLE)
def test_tokens_the_trail_and_the_key_of_no_lease_are_read(thief: Thief, office: Desk, table: str) -> None:
    thief.is_refused(f"SELECT * FROM {table}")
    thief.is_refused("SELECT lease_key FROM chunks")
    thief.is_refused("SELECT count(*) FROM chunks WHERE lease_key LIKE '0%%'")
    thief.is_refused("SELECT packed FROM inline_results")
    thief.is_refused("SELECT query FROM pg_stat_activity")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_xact_lock(1668247672, 1)",
        "SELECT pg_try_advisory_lock(7165919275421168484)",
        "SELECT pg_try_advisory_xact_lock_shared(1)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY findings TO PROGRAM 'id'",
        "CREATE TABLE mine (x int)",
        "CREATE TEMP TABLE chunks (x int)",
        "CREATE FUNCTION public.clock_timestamp() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "DROP TRIGGER guard_findings ON findings",
        "ALTER TABLE findings DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "SET ROLE cloudx_owner",
        "SET ROLE cloudx_backend",
        "SET SESSION AUTHORIZATION cloudx",
        "GRANT cloudx_backend TO cloudx_worker",
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE pid <> pg_backend_pid()",
    ],
)
def test_no_lock_that_others_wait_for_no_object_and_no_other_role_is_taken(
    thief: Thief, office: Desk, statement: str
) -> None:
    with office.engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(77)")  # a session with a lock, for the last of them
        thief.is_refused(statement)


def test_nobody_settles_renews_cuts_or_fails_what_another_worker_holds(
    thief: Thief, office: Desk, victim: Desk
) -> None:
    scan = office.submit("10.0.0.0/20", rate_pps=100)
    claim = victim.must_claim("v", "n")
    before = office.chunk_rows(scan), office.books(scan)
    for key in (GUESSED_KEY, "", None):
        for how in ("done", "failed", "stopped", "released", "cancelled", "unreachable", "anything"):
            assert not thief.settle(claim, key, how)  # type: ignore[arg-type]
        held = "%(scan)s, %(number)s, %(attempt)s, %(worker)s, %(key)s"
        known = fence(claim) | {"key": key}
        assert thief.rows(f"SELECT * FROM cloudx_lock_chunk({held})", **known) == []
        assert thief.rows(f"SELECT cloudx_cut_chunk({held}, '{{1}}')", **known) == [(False,)]
        assert thief.rows(f"SELECT cloudx_fail_scan({held}, 'stolen')", **known) == [(False,)]
        assert thief.rows(f"SELECT cloudx_note_source({held}, '203.0.113.66')", **known) == [(False,)]
        renew = (
            "SELECT is_held FROM cloudx_renew_chunks(%(worker)s, %(key)s, ARRAY[%(scan)s]::uuid[], ARRAY[%(number)s], "
            "ARRAY[%(attempt)s], '{0}', '{f}', 60)"
        )
        assert thief.rows(renew, **known) == [(False,)]
        for status in ("completed", "failed", None):
            thief.is_refused(
                "SELECT cloudx_end_scan(%(scan)s, %(scan)s, %(number)s, %(key)s, %(status)s, 'stolen', '', 0, false)",
                **known, status=status,
            )  # fmt: skip
    assert (office.chunk_rows(scan), office.books(scan)) == before
    assert victim.renew(claim) is RenewalResult.GO_ON
    assert victim.complete(claim, found(str(next(iter(claim.addresses))))) == 1


def test_findings_and_hosts_are_written_of_the_chunk_alone_that_the_same_transaction_settles(
    thief: Thief, office: Desk, victim: Desk
) -> None:
    mine, other = office.submit("10.0.0.0/20", rate_pps=100), office.submit("10.1.0.0/20", rate_pps=100)
    claim = victim.must_claim("v", "n", only_scan=other.id)
    number = thief.claim(mine.id, "key")[1]
    settle = SETTLE.format(mine.id, number, 0, 0)
    finding = "INSERT INTO findings VALUES ('{}', '10.0.0.1', 'tcp', {}, 'open', NULL, NULL, now(), '{}', NULL)"
    row = '[{{"scan_id": "{}", "ip": "10.0.0.1", "state": "up", "observed_at": "2026-01-01", "node_id": "{}"}}]'
    host = f"SELECT cloudx_store_hosts('{row}')"
    claims_it = f"SELECT set_config('cloudx.settled', '{other.id} {claim.lease.span.number}', true)"
    for write in (finding.format(other.id, 1, "n"), host.format(other.id, "n")):
        thief.is_refused(write)
        thief.is_refused(claims_it, write)
        thief.is_refused(settle, write)
        thief.is_refused(settle, claims_it, write)
    thief.is_refused(settle, finding.format(mine.id, 1, "another-node"))
    assert office.count("findings") == office.count("hosts") == 0

    thief.rows(settle, finding.format(mine.id, 1, "n"), host.format(mine.id, "n"))
    assert office.count("findings") == office.count("hosts") == 1, "of its own chunk it says what it likes"
    thief.is_refused(finding.format(mine.id, 2, "n"))
    thief.is_refused(host.format(mine.id, "n"))


def test_what_is_claimed_stays_within_the_books(thief: Thief, office: Desk) -> None:
    scan = office.submit("10.0.0.0/20", rate_pps=100)
    for share, limit in ((-1000, 1000), (0, 1000), (1000, -1000), (-(2**62), -(2**62))):
        assert thief.claim(scan.id, "key", share, limit)[0] == "node_full"
    assert office.books(scan) == ({}, {})
    outcome, number, *_ = thief.claim(scan.id, "key", 10, seconds=1e9)
    assert outcome == "leased"
    row = office.chunk_rows(scan)[number]
    with office.open_ledger(read_only=True) as ledger:
        assert (row["lease_until"] - ledger.now()).total_seconds() <= 60, "no lease lasts a year"
    claim = {"scan": scan.id, "number": number, "attempt": 1, "worker": "thief"}
    units = row["address_count"] * row["port_count"]
    for excluded, failed in ((-1, 0), (0, -1), (units, 1), (units + 1, 0), (-(2**40), 2**40)):
        assert thief.rows(SETTLE.format(scan.id, number, excluded, failed)) == [(False,)]
    for edges in ("{0}", "{-5}", f"{{{row['address_start'] + row['address_count']}}}", "{7,7}", "{NULL}"):
        with pytest.raises(psycopg2.Error):
            thief.rows(
                f"SELECT cloudx_cut_chunk(%(scan)s, %(number)s, %(attempt)s, %(worker)s, 'key', '{edges}')", **claim
            )
    assert office.books(scan) == office.recounted(scan)


def test_where_packets_came_from_is_said_of_ones_own_attempt_alone_once_and_as_an_address(
    thief: Thief, office: Desk, victim: Desk
) -> None:
    scan = office.submit("10.0.0.1")
    number = thief.claim(scan.id, "key")[1]
    own = f"SELECT cloudx_note_source('{scan.id}', {number}, 1, 'thief', %(key)s, %(source)s)"
    for source in (
        "10.0.0.0/8",
        "::/0",
        "0.0.0.0/0",
        "x",
        "10.0.0.1'); DROP TABLE attempts; --",
        "",
        None,
        "10.0.0.1 " * 999,
    ):
        with pytest.raises(psycopg2.Error):
            thief.rows(own, key="key", source=source)
    assert thief.rows(own, key="another", source="203.0.113.66") == [(False,)]
    assert source_of(office, scan.id) is None
    for source in ("203.0.113.66", "203.0.113.67"):
        assert thief.rows(own, key="key", source=source) == [(True,)]
    assert source_of(office, scan.id) == "203.0.113.66"
    assert thief.settle_own(scan.id, number) and source_of(office, scan.id) == "203.0.113.66"
    assert thief.rows(own, key="key", source="203.0.113.68") == [(False,)], "it is over"

    other = office.submit("10.0.0.2")
    note_source(victim.open_ledger, victim.must_claim("v", "n", only_scan=other.id).lease, "192.0.2.7")
    assert source_of(office, other.id) == "192.0.2.7"


def source_of(office: Desk, scan_id: str) -> str | None:
    """What the attempts of a scan say; all of them the same."""
    with office.engine.connect() as connection:
        query = "SELECT DISTINCT host(source_ip) FROM attempts WHERE scan_id = %s"
        (source,) = connection.exec_driver_sql(query, (scan_id,)).scalars().all()
    return source  # type: ignore[no-any-return]


def test_a_scan_does_not_end_before_its_chunks_have_nor_otherwise_than_they_have(thief: Thief, office: Desk) -> None:
    scan = office.submit("10.0.0.1")
    number = thief.claim(scan.id, "key")[1]
    end = f"SELECT cloudx_end_scan('{scan.id}', '{scan.id}', {number}, 'key', %(status)s, 'stolen', '', 0, false)"
    assert thief.rows(end, status="completed") == [(False,)], "its chunk is still leased"
    assert thief.rows(SETTLE.format(scan.id, number, 0, 0)) == [(True,)]
    for status in ("failed", "stopped", "submitted", "running", None):
        assert thief.rows(end, status=status) == [(False,)], status
    assert thief.rows(end, status="completed") == [(True,)]
    assert office.show(scan).scan.status is ScanStatus.COMPLETED


# Not Compose's: its one login is that of the workers of all VPSes.
@pytest.mark.parametrize("install", ["vault"], indirect=True)
def test_a_login_of_vaults_opens_no_more_sessions_than_a_worker_needs(install: Install) -> None:
    sessions = []
    with pytest.raises(psycopg2.OperationalError, match="too many connections for role"):
        for _ in range(60):
            sessions.append(session_of(install))
    for session in sessions:
        session.close()


def test_a_worker_does_all_of_its_work_by_such_a_login(office: Desk, victim: Desk) -> None:
    scan = office.submit("10.0.0.1", "10.0.0.2", tool="nmap")
    chunks = 0
    while claim := victim.claim("v", "n"):
        chunks += 1
        ip = str(next(iter(claim.addresses)))
        victim.complete(claim, found(ip), HostFinding(ip, "up", SEEN_AT))
    view = office.show(scan)
    assert (view.scan.status, view.coverage.balances, view.coverage.remaining) == (ScanStatus.COMPLETED, True, 0)
    assert (office.count("findings"), office.count("hosts"), office.count("inline_results")) == (chunks, chunks, 1)
