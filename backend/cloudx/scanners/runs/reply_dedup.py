"""Tell the first reply to each probe of a run from strays and duplicates, as the scanners write them."""

from __future__ import annotations

import socket

from cloudx.domain.addresses import AddressSet
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.probe_set import ProbeSet


class ReplyDedup:
    """The probes that have been answered; addresses and ports come as the text of an output."""

    def __init__(self, addresses: AddressSet, ports: PortSet | None) -> None:
        self._answered = ProbeSet(addresses, ports)
        self._columns: dict[bytes, int | None] = {}  # by the text in the output; a run has few or 65,536

    def probe_of_first_reply(self, ip: bytes, port: bytes) -> int | None:
        """The probe's number in the chunk (address-major) for its first reply; None for repeats and strays.

        Takes the IPv4 address and the port as the scanner wrote them.
        """
        try:
            column = self._columns[port]
        except KeyError:
            column = self._columns[port] = self._answered.column_of(int(port)) if len(port) <= 5 else None
        try:
            key = int.from_bytes(socket.inet_aton(ip.decode()), "big")
        except OSError:
            return None  # not an address
        return self._answered.add(key, column)
