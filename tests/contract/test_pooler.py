"""Workers behind a real PgBouncer, each with a login of its own, share a few sessions of PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from cloudx.adapters.database import open_ledger_on, upgrade
from cloudx.adapters.database.schema.rights import BACKEND, OWNER, WORKER
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.ledgers import Desk, desk_without_node, found
from fixtures.servers.pgbouncer import DEPLOY, Pooler
from fixtures.servers.postgres import PostgresServer, new_server

WORKERS, SESSIONS = 24, 3


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """With the cluster's groups, the pooler's logins, and a login for each worker, as Vault makes them."""
    server = new_server()
    for group in (OWNER, BACKEND, WORKER):
        server.execute(f"CREATE ROLE {group}")
    connection = psycopg2.connect(server.url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute((DEPLOY / "pgbouncer.sql").read_text())
        for number in range(WORKERS):
            cursor.execute(f"CREATE ROLE worker_{number} LOGIN PASSWORD 'secret-{number}' IN ROLE {WORKER}")
        cursor.execute("CREATE ROLE late LOGIN PASSWORD 'late' VALID UNTIL '2001-01-01'")
        cursor.execute(f"GRANT {WORKER} TO late")
        cursor.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    connection.close()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[Pooler]:
    pooler = Pooler(server, SESSIONS)
    yield pooler
    pooler.stop()


@pytest.fixture
def operator(server: PostgresServer, new_engine: Callable[[str], Engine]) -> Desk:
    engine = new_engine(server.url)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    return Desk(open_ledger_on(engine), engine)


def test_many_workers_share_few_sessions_and_count_everything_once(operator, pooler, new_engine):
    scan = operator.submit("10.0.0.0/20", rate_pps=200)
    sessions: list[int] = []

    def work(number: int) -> None:
        worker = desk_without_node(new_engine(pooler.url_of(f"worker_{number}", f"secret-{number}")))
        while claim := worker.claim(f"w{number}"):
            worker.renew(claim)
            worker.complete(claim, found(str(next(iter(claim.addresses)))))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with operator.engine.connect() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cloudx_pool'"
            sessions.append(connection.execute(text(query)).scalar_one())
    shown = operator.show(scan)
    assert shown.scan.status is ScanStatus.COMPLETED
    assert (shown.coverage.balances, shown.coverage.remaining) == (True, 0)
    with operator.engine.connect() as connection:
        stored = connection.execute(text("SELECT count(*) FROM findings WHERE scan_id = :id"), {"id": scan.id})
        assert stored.scalar_one() == shown.tally.chunks_total
    assert 0 < max(sessions) <= SESSIONS


@pytest.mark.parametrize(("login", "password"), [("worker_1", "wrong"), ("late", "late"), ("stranger", "stranger")])
def test_who_is_no_worker_gets_no_session(operator, pooler, new_engine, login, password):
    with pytest.raises(OperationalError), new_engine(pooler.url_of(login, password)).connect():
        pass


def test_a_login_that_vault_has_revoked_gets_in_no_more(operator, server, pooler, new_engine):
    server.execute(f"CREATE ROLE revoked LOGIN PASSWORD 'x' IN ROLE {WORKER}")
    with new_engine(pooler.url_of("revoked", "x")).connect() as connection:
        assert connection.execute(text("SELECT session_user")).scalar_one() == "cloudx_pool"
    server.execute("DROP ROLE revoked")
    with pytest.raises(OperationalError), new_engine(pooler.url_of("revoked", "x")).connect():
        pass
