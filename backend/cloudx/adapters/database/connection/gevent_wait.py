"""Let other greenlets run while psycopg2 waits for PostgreSQL; psycopg2 refuses COPY then."""

from __future__ import annotations

from gevent.socket import wait_read, wait_write
from psycopg2 import OperationalError, extensions

# Longer than any statement may take (engine.STATEMENT_TIMEOUT_SECONDS): a silent server counts as lost.
WAIT_SECONDS = 130.0


def make_psycopg2_cooperate() -> None:
    """Install the wait callback for this process; call it in the API alone, before the first connection."""
    extensions.set_wait_callback(_wait)


def _wait(connection: extensions.connection, timeout: float = WAIT_SECONDS) -> None:
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), timeout=timeout, timeout_exc=OperationalError("the server is silent"))
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), timeout=timeout, timeout_exc=OperationalError("the server is silent"))
        else:
            raise OperationalError(f"psycopg2 is in an unknown state: {state}")
