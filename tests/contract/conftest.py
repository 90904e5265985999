"""The ledger of every contract test: the same tests run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.ledger.ledger import OpenLedger
from fixtures.dispatch_office import Office
from fixtures.ledgers import Desk, NameTable
from fixtures.servers.postgres import PostgresServer

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    _prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = f"template_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name}")
    _prepare(postgres.url_of(name))
    yield name
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _prepare(url: str) -> None:
    engine = engine_for(url)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    engine.dispose()


@pytest.fixture
def new_sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh, migrated SQLite ledger."""
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def new_postgres_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL ledger."""
    name = f"t{uuid.uuid4().hex}"
    postgres.copy_database(postgres_template, name)
    yield postgres.url_of(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def ledger_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated ledger on each of the databases in turn."""
    return str(request.getfixturevalue("new_sqlite_url" if request.param == "sqlite" else "new_postgres_url"))


@pytest.fixture
def new_engine() -> Iterator[Callable[[str], Engine]]:
    """Opens engines and disposes of them."""
    opened: list[Engine] = []

    def open_one(url: str) -> Engine:
        opened.append(engine_for(url, pool_size=20))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.dispose()


@pytest.fixture(params=DATABASES)
def empty(request: pytest.FixtureRequest, tmp_path: Path, new_engine: Callable[[str], Engine]) -> Engine:
    """An engine on a database without any table."""
    if request.param == "sqlite":
        return new_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    return new_engine(request.getfixturevalue("postgres_database"))


@pytest.fixture
def engine(ledger_url: str, new_engine: Callable[[str], Engine]) -> Engine:
    """An engine on the ledger."""
    return new_engine(ledger_url)


@pytest.fixture
def open_ledger(engine: Engine) -> OpenLedger:
    """Transactions on the ledger."""
    return open_ledger_on(engine)


@pytest.fixture
def desk(open_ledger: OpenLedger, engine: Engine) -> Desk:
    """The services on the ledger, and one node that can run everything."""
    return Desk(open_ledger, engine)


@pytest.fixture
def office(desk: Desk) -> Office:
    """The ledger, a Nomad in memory, and whoever dispatches."""
    return Office(desk)


@pytest.fixture
def open_desk(desk: Desk) -> Desk:
    """A ledger with a resolver that knows one name."""
    return Desk(desk.open_ledger, desk.engine, NameTable(a_test="10.0.0.8"))
