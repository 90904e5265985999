"""Which probes of a chunk have been answered."""

from __future__ import annotations

import ipaddress
from array import array
from collections.abc import Iterator

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.findings import Finding
from cloudx.domain.port_set import PortSet

_NO_PORTS = PortSet(((0, 0),))  # ICMP probes have no port; findings say 0


class Answers:
    """A bit for each probe (address × port), and a count for each address."""

    def __init__(self, addresses: AddressSet, ports: PortSet | None) -> None:
        self._addresses = addresses
        self._ports = ports or _NO_PORTS
        self._answered = bytearray(addresses.size * self._ports.size // 8 + 1)
        self._count = array("L", bytes(addresses.size * array("L").itemsize))

    def add(self, finding: Finding) -> bool:
        """True for the first answer to a probe of the chunk; False for repeats and strays."""
        row = self._addresses.index_of_key(to_key(ipaddress.ip_address(finding.ip)))
        column = self._ports.index_of(finding.port)
        if row is None or column is None:
            return False
        at, bit = divmod(row * self._ports.size + column, 8)
        if self._answered[at] >> bit & 1:
            return False
        self._answered[at] |= 1 << bit
        self._count[row] += 1
        return True

    def unanswered(self) -> AddressSet:
        """The addresses of which at least one probe has no answer."""
        return AddressSet.of(self._unanswered())

    def _unanswered(self) -> Iterator[tuple[int, int]]:
        whole, row = self._ports.size, 0
        for first, last in self._addresses.ranges:
            for key in range(first, last + 1):
                if self._count[row] < whole:
                    yield key, key
                row += 1
