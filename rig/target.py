"""The open ports of the target network, and the process that serves them."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from . import listeners
from .environment import plain_environment
from .layout import TARGET
from .processes import Launch

# (protocol, address, port); 0.0.0.0 and :: mean every address of the target network.
LISTENERS: list[tuple[str, str, int]] = [
    ("tcp", "0.0.0.0", 80),
    ("tcp", "0.0.0.0", 443),
    ("tcp", "10.77.3.3", 22),
    ("tcp", "10.77.3.4", 8080),
    ("tcp", "10.77.200.7", 8080),
    ("tcp", "10.77.3.5", 50123),
    ("tcp", "10.77.3.6", 7),
    ("tcp", "::", 80),
    ("udp", "0.0.0.0", 53),
]
KEY = f"{TARGET}.listeners"


def listeners_launch() -> Launch:
    """The process that serves LISTENERS; it prints `ready` once all of them serve."""
    script = str(Path(listeners.__file__))
    return Launch(TARGET, "listeners", [sys.executable, "-P", script, json.dumps(LISTENERS)], plain_environment())


def open_ports(addresses: str, ports: Iterable[int], protocol: str = "tcp") -> set[tuple[str, int]]:
    """The (address, port) pairs of LISTENERS that a right scan of a CIDR and ports finds open."""
    network, scanned = ipaddress.ip_network(addresses), set(ports)
    found: set[tuple[str, int]] = set()
    for kind, address, port in LISTENERS:
        if kind != protocol or port not in scanned or (":" in address) != (network.version == 6):
            continue
        if address in ("0.0.0.0", "::"):
            found |= {(str(host), port) for host in network}
        elif ipaddress.ip_address(address) in network:
            found.add((address, port))
    return found
