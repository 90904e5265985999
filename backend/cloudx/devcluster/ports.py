"""Check that the ports of the dev cluster are free, and name their holders if not."""

from __future__ import annotations

import socket

import psutil

from cloudx.domain.errors import BadConfiguration

from .layout import HOST, PORTS


def require_free_ports(ports: dict[int, str] = PORTS) -> None:
    """Raises BadConfiguration that names each taken port and the process that listens there."""
    taken = {port: name for port, name in ports.items() if not _is_free(port)}
    if taken:
        holders = ", ".join(f"{port} ({name}; {_holder(port)})" for port, name in taken.items())
        raise BadConfiguration(f"taken on {HOST}: {holders}. Stop what listens there and try again.")


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port and connection.pid:  # type: ignore[misc]
            try:
                return f"held by {psutil.Process(connection.pid).name()}, pid {connection.pid}"
            except psutil.NoSuchProcess:
                break
    return "its holder is not to be seen"
