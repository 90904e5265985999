"""One process at a time, by a session's advisory lock on PostgreSQL: it goes with the process that holds it."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from typing_extensions import override

from cloudx.adapters.database.connection.engine import engine_for
from cloudx.adapters.database.connection.outages import outage
from cloudx.adapters.database.repositories.dispatches import CHANNEL
from cloudx.services.dispatch.ports import LeaderLock

DISPATCH = 0x636C6F7564787364  # "cloudxsd"
# Its machine may vanish without a word: PostgreSQL looks after it and frees the lock within 11 s.
_WATCHED = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"


class PostgresLeaderLock(LeaderLock):
    """Implements LeaderLock, on a connection of its own. A pooler between must not share sessions."""

    def __init__(self, url: Callable[[], str], key: int = DISPATCH) -> None:
        self._url = url
        self._key = key
        self._connection: Connection | None = None
        self._session: Any = None  # the driver's own, which knows what was rung
        self._has_it = False

    @override
    def acquire(self) -> bool:
        """One small question: whether the session lives is whether the lock is held."""
        try:
            return self._ask(self._connection or self._connect())
        except DBAPIError as error:
            self.release()
            raise outage(error.orig) from error

    @override
    def wait(self, seconds: float) -> None:
        """Until the time is over or somebody rings; gevent's select lets others run meanwhile."""
        if not self._has_it:
            time.sleep(seconds)
        elif self._session.notifies or select.select([self._session], [], [], seconds)[0]:
            with suppress(psycopg2.Error):  # a session that is lost is noticed by acquire
                self._session.poll()
            self._session.notifies.clear()

    @override
    def release(self) -> None:
        """End the session, and the lock with it."""
        connection, self._connection, self._has_it = self._connection, None, False
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()

    def _ask(self, connection: Connection) -> bool:
        if self._has_it:
            connection.execute(text("SELECT 1"))
        else:
            taken = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}).scalar_one()
            if taken:
                connection.execute(text(f"LISTEN {CHANNEL}"))
            self._has_it = bool(taken)
        return self._has_it

    def _connect(self) -> Connection:
        engine = engine_for(self._url(), pool_size=1)
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._session = connection.connection.driver_connection
        connection.detach()  # closing it ends the session: a pool would keep it, with the lock
        connection.execute(text(_WATCHED))
        self._connection = connection
        return connection
