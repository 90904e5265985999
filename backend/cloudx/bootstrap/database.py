"""The ledger and its schema, on the configured database."""

from __future__ import annotations

from cloudx.adapters.database import RotatingEngine, engine_for, open_ledger_on, schema_problem, upgrade
from cloudx.config import Settings
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.ledger.ledger import OpenLedger


def open_ledger_of(settings: Settings, pool_size: int = 5) -> OpenLedger:
    """Transactions on the configured database, by the login it has at that moment."""
    return open_ledger_on(engine_of(settings, pool_size))


def engine_of(settings: Settings, pool_size: int = 5) -> RotatingEngine:
    """The configured database, by the login it has at that moment."""
    make_data_folder(settings)
    return RotatingEngine(lambda: settings.sqlalchemy_url, pool_size)


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and give a fresh install its first scope. Raises DependencyUnavailable."""
    make_data_folder(settings)
    engine = engine_for(settings.sqlalchemy_url)
    try:
        upgrade(engine)
        ensure_first_scope(open_ledger_on(engine))
    finally:
        engine.dispose()


def require_schema(settings: Settings) -> None:
    """Stop what would use a database that is not there or not up to date. Raises DependencyUnavailable."""
    if settings.uses_own_sqlite and not (settings.cloudx_data_dir / "cloudx.db").exists():
        raise DependencyUnavailable(
            f"There is no database in {settings.cloudx_data_dir}. Set DATABASE_URL or CLOUDX_DATA_DIR as for the API."
        )
    engine = engine_for(settings.sqlalchemy_url)
    try:
        problem = schema_problem(engine)
    finally:
        engine.dispose()
    if problem:
        raise DependencyUnavailable(problem)


def make_data_folder(settings: Settings) -> None:
    """Where the install keeps its own SQLite file; nothing for any other database."""
    if settings.uses_own_sqlite:
        settings.cloudx_data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def cooperate_with_gevent() -> None:
    """Let a greenlet that waits for PostgreSQL give way to others; once, before the first connection."""
    from cloudx.adapters.database.connection.gevent_wait import make_psycopg2_cooperate

    make_psycopg2_cooperate()
