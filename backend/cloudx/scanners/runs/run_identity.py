"""Each run's own seed and source port, so that overlapping runs on one machine cannot take each other's replies."""

from __future__ import annotations

import hashlib
from pathlib import Path

# Above Linux's own range (32768-60999): no connection of this machine is ever taken for a probe.
FIRST_SOURCE_PORT, LAST_SOURCE_PORT = 61000, 65535
_PORTS_A_RUN = 16


def seed_of(folder: Path) -> int:
    """From 1 to 2⁶²: the run's folder is named for scan, chunk and attempt, so no two runs share it."""
    digest = hashlib.blake2b(folder.name.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 2) + 1


def source_port_of(folder: Path) -> int:
    """The port a run's probes leave from."""
    return FIRST_SOURCE_PORT + seed_of(folder) % (LAST_SOURCE_PORT - FIRST_SOURCE_PORT + 1)


def source_ports_of(folder: Path) -> tuple[int, int]:
    """The first and the last of the ports a run's probes leave from, where a tool spreads them over several."""
    slices = (LAST_SOURCE_PORT - FIRST_SOURCE_PORT + 1) // _PORTS_A_RUN
    first = FIRST_SOURCE_PORT + seed_of(folder) % slices * _PORTS_A_RUN
    return first, first + _PORTS_A_RUN - 1
