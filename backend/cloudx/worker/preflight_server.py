"""Serves the machine's checks to Consul, one path each: 200 passing, 429 warning, 503 critical; the body says why."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudx.domain.errors import BadConfiguration
from cloudx.domain.nodes import Check, CheckStatus

PREFIX = "/checks/"
REQUEST_SECONDS = 5.0  # then a silent connection is closed
# How Consul's HTTP checks read a status (https://developer.hashicorp.com/consul/docs/register/health-check/vm).
_HTTP_STATUS = {CheckStatus.PASSING: 200, CheckStatus.WARNING: 429, CheckStatus.CRITICAL: 503}


class PreflightServer:
    """Listens from the start; serves inside a `with` block."""

    def __init__(self, address: tuple[str, int], checks: Callable[[], Iterable[Check]]) -> None:
        handler = type("Handler", (_Handler,), {"checks": staticmethod(checks)})
        try:
            self._server = _Server(address, handler)
        except OSError as error:
            raise BadConfiguration(f"--checks: {address[0]}:{address[1]} cannot be used ({error.strerror}).") from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """The given port, or the port that the kernel chose for 0."""
        return int(self._server.server_address[1])

    def __enter__(self) -> PreflightServer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT. Raises BadConfiguration."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise BadConfiguration(f"--checks: takes HOST:PORT, such as 127.0.0.1:7000, not {text!r}.")
    return host.strip("[]"), int(port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    checks: Callable[[], Iterable[Check]]
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        checks = {check.id: check for check in type(self).checks()}
        check = checks.get(self.path.removeprefix(PREFIX)) if self.path.startswith(PREFIX) else None
        if check is None:
            self._answer(404, f"there are {', '.join(PREFIX + name for name in checks)}")
        else:
            self._answer(_HTTP_STATUS[check.status], check.output)

    def _answer(self, status: int, text: str) -> None:
        body = text.encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: Consul asks every few seconds."""
