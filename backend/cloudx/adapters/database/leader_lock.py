"""Leader election by a session's advisory lock on PostgreSQL, which ends with the process that holds it."""

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
# If the leader's machine vanishes, PostgreSQL notices and frees the lock within 11 s.
_KEEPALIVES = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"


class PostgresLeaderLock(LeaderLock):
    """Implements LeaderLock on a connection of its own. A connection pooler on the way must not share sessions."""

    def __init__(self, url: Callable[[], str], key: int = DISPATCH) -> None:
        self._url = url
        self._key = key
        self._connection: Connection | None = None
        self._session: Any = None  # the driver's connection, which receives the notifications
        self._is_leader = False

    @override
    def acquire(self) -> bool:
        """One small query: the lock is held for as long as the session lives."""
        try:
            return self._try(self._connection or self._connect())
        except DBAPIError as error:
            self.release()
            raise outage(error.orig) from error

    @override
    def wait(self, seconds: float) -> None:
        """By `select`, which gevent replaces so that other greenlets run meanwhile."""
        if not self._is_leader:
            time.sleep(seconds)
        elif self._session.notifies or select.select([self._session], [], [], seconds)[0]:
            with suppress(psycopg2.Error):  # the next acquire notices a lost session
                self._session.poll()
            self._session.notifies.clear()

    @override
    def release(self) -> None:
        """End the session, and the lock with it."""
        connection, self._connection, self._is_leader = self._connection, None, False
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()

    def _try(self, connection: Connection) -> bool:
        if self._is_leader:
            connection.execute(text("SELECT 1"))
        else:
            query = text("SELECT pg_try_advisory_lock(:key)")
            is_leader = bool(connection.execute(query, {"key": self._key}).scalar_one())
            if is_leader:
                connection.execute(text(f"LISTEN {CHANNEL}"))
            self._is_leader = is_leader
        return self._is_leader

    def _connect(self) -> Connection:
        engine = engine_for(self._url(), pool_size=1)
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._session = connection.connection.driver_connection
        connection.detach()  # a pool would keep the session, and the lock with it
        connection.execute(text(_KEEPALIVES))
        self._connection = connection
        return connection
