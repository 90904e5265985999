"""Database engines, with timeouts so that a dead server hangs no process."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError

from . import checkpoints

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 120  # a chunk's COPY takes longest; API requests have a shorter limit of their own
BUSY_TIMEOUT_SECONDS = 30
_WAL_RETRY_SECONDS = 0.01  # between tries at a new file that others open too
BUSY_SECONDS = 1.0  # where `is_busy`, a connection used so recently counts as alive
# If the server vanishes, what it does not acknowledge fails after 20 s, not after TCP's quarter of an hour.
_KEEPALIVES = {
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000,
}  # fmt: skip
# The same for the server's side: a VPS that loses power closes no connection, and the locks of its open transactions
# would keep every worker of their scan waiting. The server frees them after 10 s, before the leases run out.
_LET_GO = {
    "tcp_keepalives_idle": "4s",
    "tcp_keepalives_interval": "2s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10s",
    "client_connection_check_interval": "2s",  # for a session that itself waits for a lock
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
        pool_use_lifo=is_busy,  # few connections, each used often
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
    """Make each statement a transaction, which saves the round trips of BEGIN and COMMIT; no effect on SQLite.

    This sets the driver's own switch: SQLAlchemy's isolation level costs two round trips, to set and to reset it.
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

    A busy worker saves a round trip at every transaction. If it lost the connection meanwhile, it meets a short outage,
    which workers survive anyway.
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
    if engine.url.database:
        checkpoints.Checkpoints(engine.url.database).follow(engine)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves, below
    _keep_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY", *checkpoints.PRAGMAS):
        connection.execute(f"PRAGMA {pragma}")


def _keep_wal(connection: Any) -> None:
    """Switch the file to a write-ahead log; try again while other processes do the same to a new file.

    SQLite refuses all but one of them at once, whatever its busy timeout: https://sqlite.org/c3ref/busy_handler.html
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
    # A transaction that reads and then writes takes the write lock first: SQLite cannot upgrade a stale read.
    read_only = connection.get_execution_options().get("cloudx_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
