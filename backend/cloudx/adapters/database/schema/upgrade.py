"""Bring the schema up to date, at every start and on `cloudx db upgrade`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from cloudx.adapters.database.ledger import Connects
from cloudx.domain.errors import DependencyUnavailable

from .functions import apply_functions, drop_functions
from .rights import grant_to_groups
from .trigrams import apply_trigrams

MIGRATIONS = Path(__file__).parent.parent / "migrations"
HEAD = "0025"  # held to the newest file in migrations/versions by a test
_LOCK = 0x636C6F756478  # "cloudx": one upgrade at a time on PostgreSQL


def upgrade(engine: Engine) -> None:
    """Run the missing migrations and bring the functions up to date; quick where nothing is missing.

    Raises DependencyUnavailable.
    """
    try:
        with engine.connect() as connection:
            _lock(connection)
            if current_revision(connection) != HEAD:
                _run_migrations(connection, "head")
            apply_functions(connection)
            apply_trigrams(connection)
            grant_to_groups(connection)
            connection.commit()
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise DependencyUnavailable(
            f"The database cannot be opened ({reason}). Check DATABASE_URL and that the server runs."
        ) from error


def schema_problem(engine: Connects) -> str | None:
    """Why this version cannot use the database's schema, with the remedy; None when it can."""
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
    except DBAPIError as error:
        return f"The database does not answer ({str(error.orig).strip().splitlines()[0]}). Check DATABASE_URL."
    if revision == HEAD:
        return None
    return f"The database's schema is at {revision or 'nothing'}, this version needs {HEAD}: run `cloudx db upgrade`."


def current_revision(connection: Connection) -> str | None:
    """The schema's revision, or None on an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations, for tests and for a rollback by hand; the functions and triggers go, whatever the revision.

    The next upgrade, of this version or of an older one, makes its own.
    """
    from alembic import command

    with engine.connect() as connection:
        _lock(connection)
        drop_functions(connection)
        command.downgrade(_config(connection), revision)
        connection.commit()


def _lock(connection: Connection) -> None:
    """Until the transaction ends. SQLite's own write lock does the same."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _run_migrations(connection: Connection, revision: str) -> None:
    from alembic import command  # 0.2 s that a start with nothing to migrate does not pay

    command.upgrade(_config(connection), revision)


def _config(connection: Connection):  # type: ignore[no-untyped-def]
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("recursive_version_locations", "true")
    config.attributes["connection"] = connection
    return config
