"""The server's functions and SQLite's triggers: kept as SQL files, brought up to date after each upgrade.

To change one needs no migration. On PostgreSQL a file `sql/NAME.sql` makes the function `cloudx_NAME` by CREATE OR
REPLACE; a new signature needs a DROP FUNCTION of the old one in its file. The triggers that call them come with the
migrations. On SQLite `sql/sqlite/NAME.sql` makes the trigger NAME.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, text

SQL = Path(__file__).parent.parent / "sql"


def apply_functions(connection: Connection) -> None:
    """Make what is missing or differs from its file; reads alone where all is as it should be."""
    if connection.dialect.name == "postgresql":
        _apply_to_postgresql(connection)
    else:
        _apply_to_sqlite(connection)


def drop_functions(connection: Connection) -> None:
    """Take them all back, for a downgrade; on PostgreSQL the triggers that call them have to be gone."""
    if connection.dialect.name != "postgresql":
        for name, _ in _files(SQL / "sqlite"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        return
    for signature in function_signatures(connection):
        connection.exec_driver_sql(f"DROP FUNCTION {signature}")


def function_signatures(connection: Connection) -> list[str]:
    """Our functions on this PostgreSQL, each as `name(types)`."""
    query = r"SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'cloudx\_%' ORDER BY 1"
    return list(connection.execute(text(query)).scalars())


def _apply_to_postgresql(connection: Connection) -> None:
    query = text(r"SELECT proname, prosrc, obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname LIKE 'cloudx\_%'")
    there = {name: (source, comment) for name, source, comment in connection.execute(query)}
    for name, statement in _files(SQL):
        function, fingerprint = f"cloudx_{name}", hashlib.sha256(statement.encode()).hexdigest()
        # The body shows a change by hand, the fingerprint one of the signature.
        if there.get(function) != (_body(statement), fingerprint):
            connection.exec_driver_sql(statement.replace("%", "%%"))
            connection.exec_driver_sql(f"COMMENT ON FUNCTION {function} IS '{fingerprint}'")


def _apply_to_sqlite(connection: Connection) -> None:
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    there = {row.name: row.sql for row in connection.execute(query)}
    for name, statement in _files(SQL / "sqlite"):
        create = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
        if there.get(name) != create:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            connection.exec_driver_sql(create)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each, in a fixed order: PostgreSQL looks at what a function calls only when it runs."""
    for file in sorted(folder.glob("*.sql")):
        yield file.stem, file.read_text()


def _body(statement: str) -> str:
    """What stands between the dollar quotes, as PostgreSQL keeps it."""
    return statement.split("$$")[1]
