"""Addresses to host names by the system's resolver, many at a time and not for long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from queue import Empty, SimpleQueue

from typing_extensions import override

from cloudx.domain.targets import is_host_name
from cloudx.services.chunks.names import NameLookup

LOOKUP_SECONDS = 5.0  # less than a leaving worker waits for its runs
MAX_AT_ONCE = 64  # in the whole process; the resolver's own patience with a dead name server is longer than ours
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


class SystemNameLookup(NameLookup):
    """By gethostbyaddr(3), so /etc/hosts and resolv.conf count. What does not come in time is left out."""

    @override
    def names_of(self, addresses: Iterable[str]) -> dict[str, str]:
        waiting: SimpleQueue[str] = SimpleQueue()
        for address in addresses:
            waiting.put(address)
        known: dict[str, str] = {}
        deadline = time.monotonic() + LOOKUP_SECONDS
        threads = [
            # Daemons: one that waits for a dead name server is left behind, and keeps no process alive.
            threading.Thread(target=_look_up, args=(waiting, known, deadline), daemon=True)
            for _ in range(min(MAX_AT_ONCE, waiting.qsize()))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(known)


def _look_up(waiting: SimpleQueue[str], known: dict[str, str], deadline: float) -> None:
    while (left := deadline - time.monotonic()) > 0 and _places.acquire(timeout=left):
        try:
            address = waiting.get_nowait()
            name = _name_of(address)
            if name is not None:
                known[address] = name
        except Empty:
            return
        finally:
            _places.release()


def _name_of(address: str) -> str | None:
    """Its name, unless that is none that a host may have: whoever owns the address chose it."""
    try:
        name = socket.gethostbyaddr(address)[0].rstrip(".").lower()
    except (OSError, UnicodeError):
        return None
    return name if is_host_name(name) else None
