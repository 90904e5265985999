"""Database engines, with the timeouts that keep a dead server from hanging anybody."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 120  # a chunk's COPY is the longest; an API request is cut by its own
BUSY_TIMEOUT_SECONDS = 30
_WAL_RETRY_SECONDS = 0.01  # to be let into a file that others open for the first time as well
BUSY_SECONDS = 1.0  # a connection used so recently is taken as alive where `is_busy`
# A server that went without a word: what it does not acknowledge fails after 20 s, not after TCP's quarter of an hour.
_KEEPALIVES = {
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000,
}  # fmt: skip
# The same seen from the server: a VPS that lost its power sends no end of its connections, and the locks of its open
# transactions would keep every worker of their scan waiting. They are let go after 10 s, before its leases run out.
_LET_GO = {
    "tcp_keepalives_idle": "4s",
    "tcp_keepalives_interval": "2s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    "client_connection_check_interval": "2s",  # of a session that waits for a lock itself
    "idle_in_transaction_session_timeout": "300s",
}


def engine_for(url: str, pool_size: int = 5, is_busy: bool = False) -> Engine:
    """An engine for a SQLAlchemy URL; `sqlite:///…` or `postgresql+psycopg2://…`; `is_busy`: a worker's."""
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=10,
        pool_pre_ping=not is_busy,
        pool_use_lifo=is_busy,  # few connections, used again and again
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "cloudx",
            "options": _server_options(),
            **_KEEPALIVES,
        },
    )
    if is_busy:
        _ping_when_idle(engine)
    return engine


@contextmanager
def committing_at_once(connection: Connection) -> Iterator[None]:
    """Each statement is a transaction of its own, which saves the trips of BEGIN and COMMIT; not so on SQLite.

    By the driver's own switch: SQLAlchemy's isolation level costs two trips, to set it and to set it back.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def _ping_when_idle(engine: Engine) -> None:
    """Try a connection before it is handed out, as pool_pre_ping does, unless it was in use a moment ago.

    Whoever is busy saves a trip to the server at every transaction, and whoever lost a connection meanwhile meets an
    outage of the moment, which workers live with anyway.
    """

    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", float("-inf")) < BUSY_SECONDS:
            return
        try:
            is_alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            is_alive = False
        if not is_alive:
            raise InvalidatePoolError("the server has closed it")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ping)


def _server_options() -> str:
    settings = {"statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s", "timezone": "UTC", **_LET_GO}
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _sqlite_engine(url: str) -> Engine:
    connect_args = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
    # Last in, first out: few connections are used, each of which keeps a page cache.
    engine = create_engine(url, pool_use_lifo=True, connect_args=connect_args)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves, below
    _keep_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")


def _keep_wal(connection: Any) -> None:
    """Have the file keep a write-ahead log; again where others, who open the new file too, do so at the same moment.

    SQLite refuses them at once, whatever its busy timeout: https://sqlite.org/c3ref/busy_handler.html
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes must take the write lock first: SQLite cannot upgrade a stale read.
    read_only = connection.get_execution_options().get("cloudx_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
