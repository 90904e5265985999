"""The notices of new work, by PostgreSQL's LISTEN on a session of its own."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg2
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typing_extensions import override

from cloudx.adapters.database.connection.engine import engine_for
from cloudx.adapters.database.repositories.dispatches import CHANNEL, NOTICE_NUMBER
from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError
from cloudx.services.chunks.work_bell import WorkNotices

RETRY = Backoff(first_seconds=0.5, longest_seconds=10.0)
LOOK_SECONDS = 1.0  # whether the login has changed
ALIVE_SECONDS = 30.0  # whether the session still lives

log = logging.getLogger(__name__)


class PostgresWorkNotices(WorkNotices):
    """Implements WorkNotices. A connection pooler on the way must not share sessions."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    @override
    def follow(self, ring: Callable[[int], None]) -> None:
        failures = 0
        while True:
            try:
                self._listen(ring)
            except (DBAPIError, psycopg2.Error, OSError, CloudxError) as error:
                failures += 1
                if failures == 1:
                    log.warning("work_notices.lost: %s", str(error).splitlines()[0])
                time.sleep(RETRY.seconds_after(failures))
            else:
                failures = 0

    def _listen(self, ring: Callable[[int], None]) -> None:
        """Until the session is lost or the login changes. It rings first: something may have come meanwhile."""
        url = self._url()
        engine = engine_for(url, pool_size=1)
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                session: Any = connection.connection.driver_connection
                connection.execute(text(f"LISTEN {CHANNEL}"))
                ring(int(connection.execute(text(f"SELECT {NOTICE_NUMBER}")).scalar_one()))
                asked_at = time.monotonic()
                while self._url() == url:
                    select.select([session], [], [], LOOK_SECONDS)
                    if time.monotonic() > asked_at + ALIVE_SECONDS:
                        connection.execute(text("SELECT 1"))  # may receive notices too
                        asked_at = time.monotonic()
                    _tell(session, ring)
        finally:
            with suppress(DBAPIError):
                engine.dispose()


def _tell(session: Any, ring: Callable[[int], None]) -> None:
    session.poll()
    numbers = [int(notice.payload or 0) for notice in session.notifies]
    session.notifies.clear()
    if numbers:
        ring(max(numbers))
