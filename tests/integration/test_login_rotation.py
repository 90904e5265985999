"""Database logins that change under a running API and a running worker: nothing fails, and old logins are let go."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from cloudx.adapters.database import RotatingEngine, engine_for, open_ledger_on, upgrade
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.access.edit_policy import ensure_first_scope
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

OVERLAP_SECONDS = 1.5  # how long Vault lets the old login live once the new one is in the file; really minutes
ROTATIONS = 4


class Logins:
    """What Vault does: a login with a group's rights in a file, another in its place, and then the first dropped."""

    def __init__(self, database: str, folder: Path) -> None:
        self.url = database.replace("+psycopg2", "")
        self.file = folder / "database_url"
        self.names: list[str] = []
        self._group = f"group_{os.getpid()}_{time.monotonic_ns()}"
        self._numbers = itertools.count()
        self.run(f"CREATE ROLE {self._group} NOLOGIN")
        self.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {self._group}")
        self.renew()

    def run(self, statement: str) -> list[tuple[str, ...]]:
        """One statement as the superuser; its rows."""
        with closing(psycopg2.connect(self.url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def renew(self) -> None:
        """A new login in the file, put there in one step as Nomad does."""
        self.names.append(f"{self._group}_{next(self._numbers)}")
        self.run(f"CREATE ROLE {self.names[-1]} LOGIN IN ROLE {self._group}")
        part = self.file.with_suffix(".part")
        part.write_text(self.url.replace("cloudx@", f"{self.names[-1]}@"))
        part.rename(self.file)

    def drop_the_last_but_one(self) -> None:
        """Its lease is over: its sessions live on without a right."""
        self.run(f"DROP ROLE {self.names[-2]}")

    def in_use(self) -> set[str]:
        """The logins with a session now; one that was dropped has none but its number."""
        rows = self.run("SELECT usesysid::text FROM pg_stat_activity WHERE application_name = 'cloudx'")
        known = {number: name for number, name in self.run("SELECT oid::text, rolname FROM pg_roles")}  # noqa: C416 - typed
        return {known.get(number, f"dropped {number}") for (number,) in rows}

    def remove(self) -> None:
        """No role stays."""
        for name in self.names:
            self.run(f"DROP ROLE IF EXISTS {name}")
        self.run(f"DROP OWNED BY {self._group}")
        self.run(f"DROP ROLE {self._group}")


@pytest.fixture
def logins(postgres_database: str, tmp_path: Path) -> Iterator[Logins]:
    engine = engine_for(postgres_database)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    engine.dispose()
    made = Logins(postgres_database, tmp_path)
    yield made
    made.remove()


def _rotate_under(logins: Logins, seconds_between: float = 0.5) -> None:
    for _ in range(ROTATIONS):
        logins.renew()
        time.sleep(OVERLAP_SECONDS)
        logins.drop_the_last_but_one()
        time.sleep(seconds_between)


def test_rotations_under_load_fail_no_request_of_the_api(logins, new_gunicorn):
    api = new_gunicorn(DATABASE_URL_FILE=str(logins.file), WEB_CONCURRENCY="2")
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            for answer in (
                api.get("/api/scans?limit=5"),
                api.post("/api/scans", {"target": "127.0.0.1", "tool": "nmap"}),
            ):
                answers.append((answer.status_code, answer.text[:200]))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    _rotate_under(logins)
    over.set()
    for client in clients:
        client.join(30)
    assert [answer for answer in answers if answer[0] not in (200, 202)] == []
    assert len(answers) > 20 * ROTATIONS
    assert logins.in_use() == {logins.names[-1]}
    assert [line for line in api.lines() if line["level"] in ("warning", "error", "critical")] == []


def test_rotations_during_a_scan_lose_nothing_of_the_workers(logins, new_gunicorn, tmp_path):
    api = new_gunicorn(DATABASE_URL_FILE=str(logins.file), WEB_CONCURRENCY="1")
    log = tmp_path / "worker.log"
    own = {"DATABASE_URL_FILE": str(logins.file), "CLOUDX_DATA_DIR": str(tmp_path / "worker"), "NODE_ID": "w"}
    with open(log, "wb") as said:
        command = [*CLOUDX, "worker"]
        environment = clean_environment(**own, CLOUDX_LOG_FORMAT="json")
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        until(lambda: "w" in [node["node_id"] for node in api.get("/api/nodes").json()], 20, log.read_text)
        # 20 hosts at a time, some seconds each: chunks are claimed, renewed and committed all along.
        body = {"targets": ["127.0.1.0/27"], "tool": "nmap", "ports": "1-2000"}
        scan_id = api.post("/api/scans", body).json()["job_id"]
        _rotate_under(logins)
        until(lambda: api.get(f"/api/scans/{scan_id}").json()["status"] == "completed", 90, log.read_text)
        scan = api.get(f"/api/scans/{scan_id}").json()
        assert scan["coverage"]["completed"] == scan["coverage"]["planned"] == 32
        assert logins.in_use() == {logins.names[-1]}
        assert "failed" not in log.read_text()
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture
def engine(logins: Logins) -> Iterator[RotatingEngine]:
    def newest() -> str:
        text = logins.file.read_text() if logins.file.exists() else ""
        if not text:
            raise DependencyUnavailable("There is no database URL yet.")
        return text.replace("postgresql://", "postgresql+psycopg2://")

    made = RotatingEngine(newest, pool_size=3)
    yield made
    made.dispose()


def _user(engine: RotatingEngine) -> str:
    with engine.connect() as connection:
        return str(connection.exec_driver_sql("SELECT session_user").scalar())


def test_the_next_transaction_has_the_new_login(logins, engine):
    assert _user(engine) == logins.names[0]
    logins.renew()
    assert _user(engine) == logins.names[1]


def test_a_transaction_under_way_ends_on_the_old_login_and_closes_its_pool(logins, engine):
    with engine.connect() as under_way:
        assert under_way.exec_driver_sql("SELECT 1").scalar() == 1
        logins.renew()
        assert _user(engine) == logins.names[1]
        assert under_way.exec_driver_sql("SELECT session_user").scalar() == logins.names[0]
        assert logins.in_use() == set(logins.names)
    until(lambda: logins.in_use() == {logins.names[1]}, 5, logins.in_use)


def test_while_the_file_is_missing_or_empty_the_login_that_was_in_it_serves(logins, engine):
    assert _user(engine) == logins.names[0]
    logins.file.write_text("")
    assert _user(engine) == logins.names[0]
    logins.file.unlink()
    assert _user(engine) == logins.names[0]


def test_before_the_first_login_is_there_the_database_is_unavailable(logins, engine):
    logins.file.unlink()
    with pytest.raises(DependencyUnavailable):
        _user(engine)


def test_a_login_that_was_taken_away_before_the_next_one_came_is_an_outage_that_ends_with_it(logins, engine):
    open_ledger = open_ledger_on(engine)

    def read() -> int:
        with open_ledger(read_only=True) as ledger:
            return ledger.policies.version()

    before = read()
    logins.run(f"DROP ROLE {logins.names[0]}")
    for _ in range(2):
        with pytest.raises(DependencyUnavailable):
            read()
    logins.renew()
    assert read() == before


def test_threads_that_rotate_and_use_at_once_leave_one_pool(logins, engine):
    failures: list[BaseException] = []

    def use(times: int) -> None:
        try:
            for _ in range(times):
                assert _user(engine) in logins.names
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=use, args=(50,)) for _ in range(6)]
    _start_and_join(threads, meanwhile=lambda: [logins.renew() for _ in range(5)])
    assert failures == []
    assert _user(engine) == logins.names[-1]
    until(lambda: logins.in_use() == {logins.names[-1]}, 5, logins.in_use)


def _start_and_join(threads: list[threading.Thread], meanwhile: Callable[[], object]) -> None:
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join(60)
