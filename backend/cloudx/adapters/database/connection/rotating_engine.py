"""One database whose login changes: each transaction gets the newest, and a retired pool closes with its last user."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, QueuePool

from cloudx.domain.errors import DependencyUnavailable

from .engine import engine_for


@dataclass
class _Generation:
    """The engine of one login, and how many transactions use it."""

    url: str
    engine: Engine
    users: int = 0


class RotatingEngine:
    """Reads the URL at every transaction (a `stat` where it is a file) and builds a new engine when it changed.

    Vault renders a new login while the old one lives (a tenth of its time is left); transactions under way finish
    on the old login, and the last of them to end closes its pool. So a rotation needs no timer and fails nothing.
    """

    def __init__(self, url: Callable[[], str], pool_size: int = 5, is_busy: bool = False) -> None:
        self._url = url
        self._pool_size = pool_size
        self._is_busy = is_busy
        self._current: _Generation | None = None
        self._lock = threading.Lock()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection by the newest login. Raises DependencyUnavailable while there has been no URL yet."""
        generation = self._enter()
        try:
            with generation.engine.connect() as connection:
                yield connection
        finally:
            self._leave(generation)

    def dispose(self) -> None:
        """Close what is idle; transactions under way finish first."""
        with self._lock:
            retired, self._current = self._current, None
        _close_if_unused(retired)

    def connections(self) -> tuple[int, int, int]:
        """How many are in use, how many are idle, and how many there may be: of the newest login."""
        with self._lock:
            current = self._current
        pool = current.engine.pool if current is not None else None
        if not isinstance(pool, QueuePool):
            return 0, 0, 0
        return pool.checkedout(), pool.checkedin(), pool.size() + pool._max_overflow  # no public name

    def _enter(self) -> _Generation:
        with self._lock:  # read the URL under it too: a thread with the old URL must not swap it back in
            url = self._newest_url()
            current, retired = self._current, None
            if current is None or current.url != url:
                current, retired = _Generation(url, engine_for(url, self._pool_size, self._is_busy)), current
                self._current = current
            current.users += 1
        _close_if_unused(retired)
        return current

    def _newest_url(self) -> str:
        try:
            return self._url()
        except DependencyUnavailable:
            if self._current is None:
                raise
            return self._current.url  # the file is gone or empty: its last login may still be good

    def _leave(self, generation: _Generation) -> None:
        with self._lock:
            generation.users -= 1
            is_retired = generation is not self._current
        if is_retired:
            _close_if_unused(generation)


def _close_if_unused(generation: _Generation | None) -> None:
    if generation is not None and generation.users == 0:
        generation.engine.dispose()
