"""Bring the server's functions and triggers up to date with the files in sql/, after each upgrade (docs/adr/0014).

On PostgreSQL `sql/NAME.sql` makes the function `cloudx_NAME`, and the trigger that calls it where there is one. On
SQLite `sql/sqlite/NAME.sql` makes the trigger NAME. To change one needs no migration. A new signature needs a DROP
FUNCTION of the old one at the top of its file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text

SQL = Path(__file__).parent.parent / "sql"

# A trigger that somebody disabled differs too (tgenabled).
_INSTALLED = text(r"""
    SELECT substr(function.proname, length('cloudx_') + 1) AS name,
        concat_ws(E'\n', pg_get_functiondef(function.oid),
            string_agg(concat(pg_get_triggerdef(caller.oid), ' ', caller.tgenabled), E'\n' ORDER BY caller.oid)
        ) AS definition,
        obj_description(function.oid, 'pg_proc') AS comment,
        pg_has_role(function.proowner, 'USAGE') AS is_replaceable
    FROM pg_proc function LEFT JOIN pg_trigger caller ON caller.tgfoid = function.oid
    WHERE function.proname LIKE 'cloudx\_%' GROUP BY function.oid
""")


class _Installed(NamedTuple):
    """What PostgreSQL has in place of a file: the function with the triggers that call it."""

    name: str
    definition: str
    comment: str | None
    is_replaceable: bool  # by this login


def apply_functions(connection: Connection) -> None:
    """Make what is missing or differs from its file; only read where nothing does.

    The caller holds the upgrade's lock: PostgreSQL fails two that replace one function at once. A login that does not
    own the functions leaves those that differ as they are, with a warning: the API's may meet another version's.
    """
    if connection.dialect.name == "postgresql":
        _apply_to_postgresql(connection)
    else:
        _apply_to_sqlite(connection)


def drop_functions(connection: Connection) -> None:
    """Remove all functions and triggers, before a downgrade; the next upgrade makes its own."""
    if connection.dialect.name == "postgresql":
        for signature in function_signatures(connection):
            connection.exec_driver_sql(f"DROP FUNCTION {signature} CASCADE")  # with its trigger
    else:
        for name, _ in _files(SQL / "sqlite"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def function_signatures(connection: Connection) -> list[str]:
    """Our functions on this PostgreSQL, each as `name(types)`."""
    query = r"SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'cloudx\_%' ORDER BY 1"
    return list(connection.execute(text(query)).scalars())


def _apply_to_postgresql(connection: Connection) -> None:
    installed, statements = _installed(connection), dict(_files(SQL))
    differing = [name for name, statement in statements.items() if not _is_current(statement, installed.get(name))]
    foreign = [name for name in differing if name in installed and not installed[name].is_replaceable]
    if foreign:
        _warn(foreign)
    replaced = [name for name in differing if name not in foreign]
    for name in replaced:
        connection.exec_driver_sql(statements[name].replace("%", "%%"))
    installed = _installed(connection) if replaced else {}
    for name in replaced:
        comment = _fingerprint(statements[name], installed[name].definition)
        connection.exec_driver_sql(f"COMMENT ON FUNCTION cloudx_{name} IS '{comment}'")


def _installed(connection: Connection) -> dict[str, _Installed]:
    return {row.name: _Installed(*row) for row in connection.execute(_INSTALLED)}


def _is_current(statement: str, installed: _Installed | None) -> bool:
    return installed is not None and installed.comment == _fingerprint(statement, installed.definition)


def _fingerprint(statement: str, definition: str) -> str:
    """Changes with the file, and with whatever somebody changes in the database by hand."""
    return hashlib.sha256(f"{statement}\0{definition}".encode()).hexdigest()


def _apply_to_sqlite(connection: Connection) -> None:
    query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    installed = {row.name: row.sql for row in connection.execute(query)}
    for name, statement in _files(SQL / "sqlite"):
        create = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
        if installed.get(name) != create:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            connection.exec_driver_sql(create)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each, by name: PostgreSQL looks for what a function calls only when the function runs."""
    for file in sorted(folder.glob("*.sql")):
        yield file.stem, file.read_text(encoding="utf-8")


def _warn(names: list[str]) -> None:
    import structlog  # a worker, which starts for each dispatch, imports this module and never comes here

    remedy = "another version may have made them; to make them this version's run `cloudx db upgrade` as their owner"
    structlog.get_logger().warning("database.functions_differ", functions=names, remedy=remedy)
