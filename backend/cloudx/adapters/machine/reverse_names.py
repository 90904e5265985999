"""Addresses to host names by the system's resolver, many at a time and not for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable

from typing_extensions import override

from cloudx.domain.targets import is_host_name
from cloudx.services.access.side_by_side import ask_side_by_side
from cloudx.services.chunks.names import NameLookup

LOOKUP_SECONDS = 5.0  # less than a leaving worker waits for its runs
SILENT_SECONDS = 1.0  # where nobody answered the last time: a machine without a name server loses no more on each chunk
MAX_AT_ONCE = 64  # in the whole process; the resolver's own patience with a dead name server is longer than ours
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


class SystemNameLookup(NameLookup):
    """By gethostbyaddr(3), so /etc/hosts and resolv.conf count. What does not come in time is left out."""

    def __init__(self) -> None:
        self._is_silent = False

    @override
    def names_of(self, addresses: Iterable[str]) -> dict[str, str]:
        within_seconds = SILENT_SECONDS if self._is_silent else LOOKUP_SECONDS
        found = ask_side_by_side(_name_of, addresses, MAX_AT_ONCE, within_seconds)
        self._is_silent = not found  # that an address has no name is an answer
        return {address: name for address, name in found.items() if name is not None}


def _name_of(address: str) -> str | None:
    """Its name, unless that is none that a host may have: whoever owns the address chose it."""
    if not _places.acquire(timeout=LOOKUP_SECONDS):
        return None
    try:
        name = socket.gethostbyaddr(address)[0].rstrip(".").lower()
    except (OSError, UnicodeError):
        return None
    finally:
        _places.release()
    return name if is_host_name(name) else None
