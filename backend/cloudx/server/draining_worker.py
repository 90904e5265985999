"""A gevent worker that closes idle connections when it is told to stop, instead of waiting out their keep-alive."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.workers.ggevent import GeventWorker

# A request that is on its way on an idle connection when SIGTERM comes is still served.
IDLE_GRACE_SECONDS = 2.0


class DrainingWorker(GeventWorker):  # type: ignore[misc]
    """gunicorn's own worker, which also knows the connections that wait for a next request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: dict[gevent.Greenlet, gevent.Timeout] = {}

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """gunicorn enters it while a connection has no request."""
        waiting = gevent.getcurrent()
        with gevent.Timeout(self.cfg.keepalive, False) as timeout:
            self._idle[waiting] = timeout
            try:
                yield
            finally:
                del self._idle[waiting]

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """On SIGTERM, finish running requests and soon close idle connections."""
        super().handle_exit(sig, frame)
        gevent.spawn(self._close_idle)

    def _close_idle(self) -> None:
        while True:
            gevent.sleep(IDLE_GRACE_SECONDS)
            for waiting, timeout in list(self._idle.items()):
                # As if its keep-alive had run out, which gunicorn handles by itself.
                gevent.kill(waiting, timeout)


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
