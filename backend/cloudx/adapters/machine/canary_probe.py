"""Ask whether a listener accepts connections from here."""

from __future__ import annotations

import socket

ANSWER_SECONDS = 2.0


def accepts(target: str, port: int) -> bool:
    """True when a TCP connection to it is accepted within ANSWER_SECONDS, at the second try if need be."""
    return any(_connects(target, port) for _ in range(2))


def _connects(target: str, port: int) -> bool:
    try:
        socket.create_connection((target, port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True
