"""A gevent worker that bounds what its clients may make it wait for, and closes idle connections when told to stop."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

from cloudx.server.slow_clients import Connections, WatchedSocket

# A request that is on its way on an idle connection when SIGTERM comes is still served.
IDLE_GRACE_SECONDS = 2.0


class DrainingWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's own worker, which also knows what each connection waits for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = Connections(self.cfg.worker_connections, self.cfg.keepalive)
        self._served: dict[gevent.Greenlet, WatchedSocket] = {}
        self.at_stop: Callable[[], None] = lambda: None  # what the application does on SIGTERM

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection to its end."""
        connection, greenlet = WatchedSocket(client), gevent.getcurrent()
        self._served[greenlet] = connection
        self._connections.add(connection)
        try:
            super().handle(listener, connection, addr)
        finally:
            self._connections.remove(connection)
            del self._served[greenlet]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """gunicorn enters it while a connection has no request."""
        connection = self._served[gevent.getcurrent()]
        connection.wait_for_request()
        yield
        connection.begin_request()

    def notify(self) -> None:
        """gunicorn calls it each second."""
        super().notify()
        self._connections.cut_late()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """On SIGTERM, finish running requests and soon close idle connections."""
        super().handle_exit(sig, frame)
        gevent.spawn(self.at_stop)
        gevent.spawn(self._close_idle)

    def _close_idle(self) -> None:
        while True:
            gevent.sleep(IDLE_GRACE_SECONDS)
            self._connections.cut_idle()


def write_json_error(sock: Any, status_int: int, reason: str, mesg: str) -> None:
    """gunicorn's answer to a request that is not HTTP, in the one shape of errors."""
    error = f"{reason}: {mesg[:200]}. Send a valid HTTP/1.1 request." if mesg else f"{reason}."
    code = "invalid_input" if status_int < 500 else "internal_error"
    body = json.dumps({"error": error, "code": code}).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin1") + body)


util.write_error = write_json_error  # gunicorn has no setting for it


class PropagatingLogger(Logger):  # type: ignore[misc]
    """Sends gunicorn's log to the application's, in the same form."""

    def setup(self, cfg: Any) -> None:
        """Remove gunicorn's own handlers."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers = [handler for handler in log.handlers if not getattr(handler, "_gunicorn", False)]
            log.propagate = True
        logging.getLogger("gunicorn.access").disabled = True  # the application logs requests, with their ids
