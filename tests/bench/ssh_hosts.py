"""The target network of two_stages: one address in a hundred is a host with 20 open ports, all others are silent."""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PORTS = tuple(range(2200, 2220))
EVERY = 100
WHOLE = "10.77.0.0/16"
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


def hosts_of(network: str) -> list[ipaddress.IPv4Address]:
    """Its hosts: every hundredth address."""
    first = int(ipaddress.IPv4Network(WHOLE).network_address)
    return [ip for ip in ipaddress.IPv4Network(network) if (int(ip) - first) % EVERY == EVERY // 2]


@contextlib.contextmanager
def listening(namespace: str, network: str) -> Iterator[None]:
    """Make the target's namespace such a network for the length of a `with` block."""
    lines = [f"route del local {WHOLE} dev lo", f"route add blackhole {WHOLE}"]
    lines += [f"route add local {host}/32 dev lo" for host in hosts_of(network)]
    _batch(namespace, lines)
    command = ["ip", "netns", "exec", namespace, sys.executable, "-P", str(Path(__file__).resolve())]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n", "the hosts do not listen"
        yield
    finally:
        server.kill()
        server.wait()
        back = [f"route del local {host}/32 dev lo" for host in hosts_of(network)]
        _batch(namespace, [*back, f"route del blackhole {WHOLE}", f"route add local {WHOLE} dev lo"])


def _batch(namespace: str, lines: list[str]) -> None:
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines), text=True, check=True)


def serve() -> None:
    """A banner to each connection, at once; whoever answers it is hung up on, so that no script waits for more."""
    selector = selectors.DefaultSelector()
    for port in PORTS:
        listener = socket.create_server(("0.0.0.0", port), backlog=4096, reuse_port=True)
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, True)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            known: socket.socket = key.fileobj  # type: ignore[assignment]
            with contextlib.suppress(OSError):
                if key.data:
                    connection, _ = known.accept()
                    connection.setblocking(False)
                    selector.register(connection, selectors.EVENT_READ, False)
                    connection.send(BANNER)
                    continue
                known.recv(65536)
            if not key.data:
                selector.unregister(known)
                known.close()


if __name__ == "__main__":
    serve()
