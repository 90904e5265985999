"""The notices of new work, by PostgreSQL's LISTEN on a session of its own."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cloudx.adapters.database.connection.engine import engine_for
from cloudx.adapters.database.connection.outages import outage
from cloudx.adapters.database.repositories.dispatches import CHANNEL, NOTICE_NUMBER

LOOK_SECONDS = 1.0  # whether the login has changed
ALIVE_SECONDS = 30.0  # whether the session still lives


def listen_for_work(url: Callable[[], str], notify: Callable[[int], None]) -> None:
    """Call `notify` with each notice's number until the login changes. Raises DependencyUnavailable when it is lost.

    It calls it first of all: something may have come while nobody listened. A connection pooler on the way must not
    share sessions.
    """
    login = url()
    engine = engine_for(login, pool_size=1)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"LISTEN {CHANNEL}"))
            notify(int(connection.execute(text(f"SELECT {NOTICE_NUMBER}")).scalar_one()))
            _follow(connection, lambda: url() == login, notify)
    except DBAPIError as error:
        raise outage(error.orig) from error
    except psycopg2.Error as error:
        raise outage(error) from error
    finally:
        engine.dispose()


def _follow(connection: Connection, is_same_login: Callable[[], bool], notify: Callable[[int], None]) -> None:
    session: Any = connection.connection.driver_connection
    asked_at = time.monotonic()
    while is_same_login():
        select.select([session], [], [], LOOK_SECONDS)
        if time.monotonic() > asked_at + ALIVE_SECONDS:
            connection.execute(text("SELECT 1"))  # may receive notices too
            asked_at = time.monotonic()
        session.poll()
        numbers = [int(notice.payload) for notice in session.notifies]
        session.notifies.clear()
        if numbers:
            notify(max(numbers))
