"""Clients that keep a connection without using it: each has a time for each step, and none keeps others out.

A connection costs a greenlet and a place among `worker_connections`, and whoever may reach the API may open one. So the
time for each step is bounded, and when places run short the client that has been silent or slow for longest gives way.
What is cut sees its connection closed: the read side is shut, which gunicorn takes for a client that has left.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

HEADERS_SECONDS = 10.0  # from the first byte of a request to the last one of its headers; of a connection to its first
BODY_SECONDS = 10.0  # and as long again for each SLOWEST_BYTES of it that have come
SLOWEST_BYTES = 160 << 10  # 16 KB/s
SLOW_AFTER_SECONDS = 1.0  # an honest request is through with its headers long before
ANSWER_SECONDS = 30.0  # for each PIECE_BYTES of an answer
PIECE_BYTES = 64 << 10


class Step(Enum):
    """What a connection is in the middle of."""

    NEW = "no byte has come yet"
    IDLE = "between two requests"
    HEADERS = "a request has begun"
    BODY = "the application waits for more of a body"
    WORKING = "the application has the turn"
    ANSWER = "the client has to take a piece of the answer"


class WatchedSocket:
    """A client's socket that knows its step; everything else is the socket's own."""

    def __init__(self, sock: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._clock = clock
        self._body_bytes = 0
        self._body_since: float | None = None  # since the application first waited for it
        self._is_cut = False
        self.step = Step.NEW
        self.since = clock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def _enter(self, step: Step) -> None:
        self.step, self.since = step, self._clock()

    def wait_for_request(self) -> None:
        """The answer before is sent."""
        if self.step is not Step.NEW:
            self._enter(Step.IDLE)

    def begin_request(self) -> None:
        """The headers are there."""
        self._body_bytes, self._body_since = 0, None
        self._enter(Step.WORKING)

    def recv(self, *arguments: Any) -> bytes:
        """As the socket's; of one that was cut nothing, as of a client that has left."""
        if self.step is Step.WORKING:
            return self._recv_body(*arguments)
        data = self._recv(*arguments)
        if data and self.step is not Step.HEADERS:
            self._enter(Step.HEADERS)
        return data

    def _recv_body(self, *arguments: Any) -> bytes:
        if self._body_since is None:
            self._body_since = self._clock()
        self.step, self.since = Step.BODY, self._body_since
        data = self._recv(*arguments)
        self._body_bytes += len(data)
        self._enter(Step.WORKING)
        return data

    def _recv(self, *arguments: Any) -> bytes:
        try:
            data: bytes = self._sock.recv(*arguments)
        except OSError:
            if not self._is_cut:
                raise
            return b""
        return data

    def sendall(self, data: Any, *flags: Any) -> None:
        """As the socket's, piece by piece, each with its time. Raises BrokenPipeError once it was cut."""
        before = self.step, self.since
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            self._enter(Step.ANSWER)
            try:
                self._sock.sendall(view[start : start + PIECE_BYTES], *flags)
            except OSError as error:
                if not self._is_cut:
                    raise
                raise BrokenPipeError(errno.EPIPE, "The client took too long over its answer.") from error
        self.step, self.since = before

    def seconds_left(self, keepalive_seconds: float) -> float:
        """Until it has to be through with this step; below 0 it is late."""
        allowed = {
            Step.NEW: HEADERS_SECONDS,
            Step.IDLE: keepalive_seconds,
            Step.HEADERS: HEADERS_SECONDS,
            Step.BODY: BODY_SECONDS * (1 + self._body_bytes / SLOWEST_BYTES),
            Step.WORKING: float("inf"),
            Step.ANSWER: ANSWER_SECONDS,
        }[self.step]
        return self.since + allowed - self._clock()

    @property
    def may_give_way(self) -> bool:
        """True while it waits for its client; then no work is lost with it."""
        return self.step in (Step.NEW, Step.IDLE, Step.HEADERS, Step.BODY)

    @property
    def is_slow(self) -> bool:
        """True in the middle of a request that does not come on."""
        return self.step is not Step.IDLE and self._clock() - self.since > SLOW_AFTER_SECONDS

    def cut(self) -> None:
        """Let whoever waits on it find that the client has left. Safe at any time, whatever else uses the socket."""
        self._is_cut = True
        try:
            self._sock.shutdown(socket.SHUT_RDWR if self.step is Step.ANSWER else socket.SHUT_RD)
        except OSError:
            return  # it has left by itself


class Connections:
    """The connections of one gunicorn worker."""

    def __init__(self, places: int, keepalive_seconds: float) -> None:
        self._enough = places * 9 // 10  # the rest is for those who come while one gives way
        self._keepalive_seconds = keepalive_seconds
        self._open: set[WatchedSocket] = set()
        self._cut: set[WatchedSocket] = set()

    def add(self, connection: WatchedSocket) -> None:
        """A client has come; where places run short, a slow one goes, else the one that has been idle for longest."""
        self._open.add(connection)
        if len(self._open) - len(self._cut) > self._enough:
            waiting = [each for each in self._open - self._cut if each.may_give_way and each is not connection]
            if waiting:
                self._end(min(waiting, key=lambda each: (not each.is_slow, each.since)))

    def remove(self, connection: WatchedSocket) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._cut.discard(connection)

    def cut_late(self) -> None:
        """Cut those that are late with their step."""
        for connection in self._open - self._cut:
            if connection.seconds_left(self._keepalive_seconds) < 0:
                self._end(connection)

    def cut_idle(self) -> None:
        """Cut those that have no request."""
        for connection in self._open - self._cut:
            if connection.step in (Step.NEW, Step.IDLE):
                self._end(connection)

    def _end(self, connection: WatchedSocket) -> None:
        self._cut.add(connection)
        connection.cut()
