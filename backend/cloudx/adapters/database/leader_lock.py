"""Leader election by a session's advisory lock on PostgreSQL, which ends with the process that holds it."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass
class _Session:
    """What the lock belongs to: who has lost the session is no leader, whatever was asked on it meanwhile."""

    connection: Connection
    driver: Any  # the driver's connection, which receives the notifications
    is_leader: bool = False


class PostgresLeaderLock(LeaderLock):
    """Implements LeaderLock on a connection of its own. A connection pooler on the way must not share sessions."""

    def __init__(self, url: Callable[[], str], key: int = DISPATCH) -> None:
        self._url = url
        self._key = key
        self._session: _Session | None = None

    @override
    def acquire(self) -> bool:
        """One small query: the lock is held for as long as the session lives."""
        try:
            return self._try(self._session or self._connect())
        except DBAPIError as error:
            self.release()
            raise outage(error.orig) from error

    @override
    def wait(self, seconds: float) -> None:
        """By `select`, which gevent replaces so that other greenlets run meanwhile."""
        session = self._session
        if session is None or not session.is_leader:
            time.sleep(seconds)
        elif session.driver.notifies or select.select([session.driver], [], [], seconds)[0]:
            with suppress(psycopg2.Error):  # the next acquire notices a lost session
                session.driver.poll()
            session.driver.notifies.clear()

    @override
    def release(self) -> None:
        """End the session, and the lock with it."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(DBAPIError):
                session.connection.close()

    def _try(self, session: _Session) -> bool:
        if session.is_leader:
            session.connection.execute(text("SELECT 1"))
        else:
            query = text("SELECT pg_try_advisory_lock(:key)")
            session.is_leader = bool(session.connection.execute(query, {"key": self._key}).scalar_one())
            if session.is_leader:
                session.connection.execute(text(f"LISTEN {CHANNEL}"))
        return session.is_leader

    def _connect(self) -> _Session:
        engine = engine_for(self._url(), pool_size=1)
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        session = _Session(connection, connection.connection.driver_connection)
        connection.detach()  # a pool would keep the session, and the lock with it
        connection.execute(text(_KEEPALIVES))
        self._session = session
        return session
