"""Which of its addresses this machine sends from, as its kernel decides."""

from __future__ import annotations

import socket
from itertools import islice

from cloudx.domain.addresses import Address, AddressSet

MOST_LOOKED_AT = 1024  # of larger sets, so many that lie apart alike; a look takes a few microseconds
_DISCARD_PORT = 9


def source_for(addresses: AddressSet) -> str | None:
    """The address that packets to these come from; None where it is not one for all, or no route leads there."""
    sources = {source for address in _some_of(addresses) if (source := _source_to(address)) is not None}
    return sources.pop() if len(sources) == 1 else None


def _some_of(addresses: AddressSet) -> list[Address]:
    if addresses.size <= MOST_LOOKED_AT:
        return list(addresses)
    step = addresses.size // MOST_LOOKED_AT
    picked = (next(iter(addresses.slice(start, 1))) for start in range(0, addresses.size, step))
    return list(islice(picked, MOST_LOOKED_AT))


def _source_to(address: Address) -> str | None:
    """To connect a UDP socket sends nothing: the kernel looks up the route and chooses the source (ip(7), udp(7))."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((str(address), _DISCARD_PORT))
        except OSError:
            return None
        return str(asking.getsockname()[0])
