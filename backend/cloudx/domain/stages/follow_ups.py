"""Which chunks of nmap's follow from the open ports of one chunk: each open port in exactly one, and no other port."""

from __future__ import annotations

import ipaddress
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cloudx.domain.addresses import AddressSet, to_key
from cloudx.domain.findings import ANSWER_MASK, PORT_MASK, PORT_SHIFT, ROW_SHIFT, Finding, FindingBlock, Found
from cloudx.domain.port_set import PortSet
from cloudx.domain.tools import ScanType

FOLLOWED_PROTOCOL = "tcp"
MAX_HOSTS = 32  # so that what one chunk finds is shared by the fleet
# About 30 s of nmap: services that say nothing are waited for side by side, scripts are not.
MAX_PORTS_ASKED = 256
MAX_PORTS_PROBED = 4096  # where no service is asked for its version
# More open ports of one address within one chunk are a tar pit's (domain/proof/tarpits.py), or take nmap an hour.
MAX_PORTS_OF_A_HOST = 1_000
_PORT_BITS = 16


@dataclass(frozen=True)
class FollowUp:
    """Addresses that have the same open ports: what one chunk of the second stage covers."""

    addresses: AddressSet
    ports: PortSet

    @property
    def units(self) -> int:
        """How many open ports that is."""
        return self.addresses.size * self.ports.size


@dataclass(frozen=True)
class FollowUps:
    """What follows from one chunk, and the addresses that answered on too many ports to be asked about each."""

    parts: tuple[FollowUp, ...]
    left_out: AddressSet


@dataclass
class OpenPorts:
    """Takes in the open ports of a chunk while its findings pass by: eight bytes each."""

    _cells: array[int] = field(default_factory=lambda: array("Q"))

    def passing(self, findings: Iterable[Found]) -> Iterator[Found]:
        """The findings, noted as they go."""
        for one in findings:
            if isinstance(one, FindingBlock):
                self._note_block(one)
            elif isinstance(one, Finding) and one.state == "open" and one.protocol == FOLLOWED_PROTOCOL:
                self._cells.append(to_key(ipaddress.ip_address(one.ip)) << _PORT_BITS | one.port)
            yield one

    def _note_block(self, block: FindingBlock) -> None:
        is_open = [one.state == "open" and one.protocol == FOLLOWED_PROTOCOL for one in block.answers]
        self._cells.extend(
            block.addresses[cell >> ROW_SHIFT] << _PORT_BITS | cell >> PORT_SHIFT & PORT_MASK
            for cell in block.cells
            if is_open[cell & ANSWER_MASK]
        )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """An address, by its key, and a port of it."""
        return ((cell >> _PORT_BITS, cell & PORT_MASK) for cell in self._cells)


def follow_ups(open_ports: Iterable[tuple[int, int]], scan_type: ScanType) -> FollowUps:
    """Group the open ports (address key, port) of one chunk for runs of nmap of about 30 s.

    Only addresses with exactly the same ports share one: with others nmap would probe what nobody found open.
    """
    ports_by_host: dict[int, set[int]] = defaultdict(set)
    for key, port in open_ports:
        ports_by_host[key].add(port)
    left_out = [key for key, ports in ports_by_host.items() if len(ports) > MAX_PORTS_OF_A_HOST]
    hosts_by_ports: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for key, ports in ports_by_host.items():
        if len(ports) <= MAX_PORTS_OF_A_HOST:
            hosts_by_ports[tuple(sorted(ports))].append(key)
    most = MAX_PORTS_ASKED if scan_type.asks_versions else MAX_PORTS_PROBED
    parts = [part for ports, hosts in sorted(hosts_by_ports.items()) for part in _parts(sorted(hosts), ports, most)]
    return FollowUps(tuple(parts), AddressSet.of((key, key) for key in left_out))


def _parts(hosts: Sequence[int], ports: Sequence[int], most: int) -> Iterator[FollowUp]:
    """Rectangles of about equal size, each of at most `most` ports in all."""
    columns = _pieces(ports, most)
    for column in columns:
        abreast = max(1, min(MAX_HOSTS, most // len(column)))
        for rows in _pieces(hosts, abreast):
            addresses = AddressSet.of((key, key) for key in rows)
            yield FollowUp(addresses, PortSet.of((port, port) for port in column))


def _pieces(values: Sequence[int], most: int) -> list[Sequence[int]]:
    count = -(-len(values) // most)
    edges = [len(values) * number // count for number in range(count + 1)]
    return [values[first:last] for first, last in pairwise(edges)]
