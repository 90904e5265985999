"""A set of probes of one chunk, such as those that have been answered, in flat memory."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.findings import Finding
from cloudx.domain.port_set import PortSet

_NO_PORTS = PortSet(((0, 0),))  # ICMP probes have no port; findings say 0


class ProbeSet:
    """A bit for each probe (address × port).

    15 s at 10 million packets/s, the largest chunk there is, takes 19 MB.
    """

    def __init__(self, addresses: AddressSet, ports: PortSet | None) -> None:
        self._addresses = addresses
        self._ports = ports or _NO_PORTS
        self._width = self._ports.size
        self._bits = bytearray(addresses.size * self._width // 8 + 1)

    def column_of(self, port: int) -> int | None:
        """The port's place in the chunk; None for one that was not probed."""
        return self._ports.index_of(port)

    def add(self, key: int, column: int | None) -> int | None:
        """Add an address (by its key) and a port's column: the probe's number (address-major).

        None for a probe that is in the set already or not of the chunk.
        """
        row = self._addresses.index_of_key(key)
        if row is None or column is None:
            return None
        probe = row * self._width + column
        at, bit = probe >> 3, 1 << (probe & 7)
        if self._bits[at] & bit:
            return None
        self._bits[at] |= bit
        return probe

    def add_finding(self, finding: Finding) -> bool:
        """True for the first finding of a probe of the chunk."""
        key = to_key(ipaddress.ip_address(finding.ip))
        return self.add(key, self.column_of(finding.port)) is not None

    def addresses_not_whole(self) -> AddressSet:
        """The addresses of which at least one probe is not in the set."""
        return AddressSet.of(self._not_whole())

    def _not_whole(self) -> Iterator[tuple[int, int]]:
        row = 0
        for first, last in self._addresses.ranges:
            for key in range(first, last + 1):
                if self._count_in(row) < self._width:
                    yield key, key
                row += 1

    def _count_in(self, row: int) -> int:
        """How many probes of a row are in the set."""
        start, end = row * self._width, (row + 1) * self._width
        bits = int.from_bytes(self._bits[start >> 3 : (end + 7) >> 3], "little") >> (start & 7)
        return (bits & ((1 << self._width) - 1)).bit_count()
