"""The database, its owner and the group roles that Vault's short-lived logins join; made by an administrator once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import sql
from typing_extensions import override

from cloudx.adapters.database.schema.functions import SQL
from cloudx.adapters.database.schema.rights import BACKEND, OWNER, WORKER
from cloudx.cluster.identity_ports import DatabaseLogin, DatabaseRoles
from cloudx.domain.errors import ClusterUnavailable

CONNECT_TIMEOUT_SECONDS = 10
GROUPS = (OWNER, BACKEND, WORKER)


class PostgresRoles(DatabaseRoles):
    """Implements DatabaseRoles; `admin_url` is a superuser's libpq URL without a database."""

    def __init__(self, admin_url: str, database: str) -> None:
        self._admin_url = admin_url.rstrip("/")
        self._database = database

    @override
    def prepare(self, login: DatabaseLogin) -> None:
        with self._session("postgres") as cursor:
            for group in GROUPS:
                _make_role(cursor, group, "NOLOGIN")
            _make_role(cursor, login.user, "LOGIN CREATEROLE")
            _give_password(cursor, login)
            groups = sql.SQL(", ").join(map(sql.Identifier, GROUPS))
            # With the admin option: since PostgreSQL 16, CREATEROLE alone cannot add members to roles it did not make.
            cursor.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(groups, sql.Identifier(login.user)))
            self._make_database(cursor)
        with self._session(self._database) as cursor:
            cursor.execute((SQL / "cluster" / "close_database.sql").read_text(encoding="utf-8"))

    def _make_database(self, cursor: psycopg2.extensions.cursor) -> None:
        name = sql.Identifier(self._database)
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self._database,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(OWNER)))
        # Vault's own login connects here to make the others.
        cursor.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO cloudx_vault").format(name))

    @contextmanager
    def _session(self, database: str) -> Iterator[psycopg2.extensions.cursor]:
        try:
            connection = psycopg2.connect(f"{self._admin_url}/{database}", connect_timeout=CONNECT_TIMEOUT_SECONDS)
            try:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    yield cursor
            finally:
                connection.close()
        except psycopg2.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise ClusterUnavailable(
                f"PostgreSQL does not let its roles be made ({reason}). Check the administrator's URL."
            ) from error


def _make_role(cursor: psycopg2.extensions.cursor, name: str, attributes: str) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE ROLE {} " + attributes).format(sql.Identifier(name)))


def _give_password(cursor: psycopg2.extensions.cursor, login: DatabaseLogin) -> None:
    # Hashed here, so that the server's log cannot show the password.
    encrypted = psycopg2.extensions.encrypt_password(login.password, login.user, cursor.connection, "scram-sha-256")
    cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(login.user)), (encrypted,))
