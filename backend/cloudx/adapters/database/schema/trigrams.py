"""The index for parts of host names on PostgreSQL, by its extension pg_trgm, which not every login may create."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

INDEX = "ix_found_hostnames_parts"
_HAS_INDEX = text("SELECT to_regclass(:name) IS NOT NULL")
_IS_OURS = text("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'found_hostnames'::regclass")
_STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    f"CREATE INDEX {INDEX} ON found_hostnames USING gin (name gin_trgm_ops)",
)


def apply_trigrams(connection: Connection) -> None:
    """Make the index where it is missing and this login may; else a search by `hostname` reads every name, and says so.

    SQLite needs none: it keeps so few names that reading them all takes milliseconds.
    """
    if connection.dialect.name != "postgresql" or connection.execute(_HAS_INDEX, {"name": INDEX}).scalar_one():
        return
    if not connection.execute(_IS_OURS).scalar():
        return
    try:
        with connection.begin_nested():
            for statement in _STATEMENTS:
                connection.exec_driver_sql(statement)
    except DBAPIError as error:
        _warn(str(error.orig).strip().splitlines()[0])


def _warn(reason: str) -> None:
    import structlog  # a worker, which starts for each dispatch, imports this module and never comes here

    remedy = (
        "install PostgreSQL's contrib package, have a superuser run CREATE EXTENSION pg_trgm in this database, "
        "then run `cloudx db upgrade`"
    )
    structlog.get_logger().warning("database.hostname_search_is_slow", reason=reason, remedy=remedy)
