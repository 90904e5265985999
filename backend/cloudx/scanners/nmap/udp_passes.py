"""UDP ports of which nothing was heard, although their host told of others: they are asked again, slower.

An ordinary Linux host tells of one closed port a second (net.ipv4.icmp_ratelimit), and all addresses behind one
limiter share that. nmap -T4 calls what it was too fast for `open|filtered`; findings/ has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from cloudx.domain.port_set import PortSet

from .repair import repaired_hosts

MAX_PASSES = 6  # the first included; each later one must have settled something
_DOUBTFUL = "open|filtered"


@dataclass
class HostPorts:
    """What one pass says of a host's UDP ports, the grouped ones included."""

    doubtful: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    tells_closed: bool = False


Pass = dict[str, HostPorts]  # by address


@dataclass(frozen=True)
class Again:
    """The next pass: these hosts, these ports; `one_at_a_time` where hosts may share a limiter."""

    hosts: tuple[str, ...]
    ports: PortSet
    one_at_a_time: bool


def next_pass(passes: Sequence[Pass]) -> Again | None:
    """What to ask again after these passes; None when no answer is to be expected.

    A host that tells of no closed port at all is filtered: its silence is no limiter's. After the first pass all hosts
    are asked side by side, each once in 1.1 s; later one by one those of which that settled some ports.
    """
    first, last = passes[0], passes[-1]
    if len(passes) >= MAX_PASSES:
        return None
    if len(passes) == 1:
        left = {ip: ports.doubtful for ip, ports in first.items() if ports.tells_closed}
    else:
        before = doubtful_after(passes[:-1])
        left = {ip: before[ip] - ports.settled for ip, ports in last.items() if before.get(ip, set()) & ports.settled}
    left = {ip: ports for ip, ports in left.items() if ports}
    if not left:
        return None
    asked = PortSet.of([(port, port) for port in set().union(*left.values())])
    return Again(tuple(left), asked, one_at_a_time=len(passes) > 1)


def doubtful_after(passes: Sequence[Pass]) -> dict[str, set[int]]:
    """The ports of each host of which no pass has heard anything."""
    first, *later = passes
    left = {ip: set(ports.doubtful) for ip, ports in first.items()}
    for each in later:
        for ip, ports in each.items():
            left.get(ip, set()).difference_update(ports.settled)
    return left


def read_pass(file: Path) -> Pass:
    """The states in an nmap report; where it is not well formed, of the hosts that can be read."""
    hosts: Pass = {}
    try:
        for _, element in etree.iterparse(
            str(file), events=("end",), tag="host", resolve_entities=False, no_network=True, load_dtd=False
        ):
            _add(hosts, element)
            element.clear()
    except etree.XMLSyntaxError:
        for element in repaired_hosts(file):
            _add(hosts, element)
    return hosts


def _add(hosts: Pass, host: etree._Element) -> None:
    address = host.find("address")
    if address is not None:
        hosts[address.get("addr", "")] = _ports_of(host)


def _ports_of(host: etree._Element) -> HostPorts:
    found = HostPorts()
    for port in host.iterfind("ports/port[@protocol='udp']"):
        state = port.find("state")
        if state is not None:
            _note(found, state.get("state", ""), {int(port.get("portid", 0))})
    # Many ports of one state are grouped: `ports` names them since nmap 7.92 (an older one leaves them unasked).
    for group in host.iterfind("ports/extraports"):
        for reasons in group.iterfind("extrareasons[@proto='udp']"):
            _note(found, group.get("state", ""), _numbers(reasons.get("ports", "")))
        if group.get("state") == "closed":
            found.tells_closed = True
    return found


def _note(found: HostPorts, state: str, ports: set[int]) -> None:
    if state == _DOUBTFUL:
        found.doubtful |= ports
    else:
        found.settled |= ports
        found.tells_closed |= state == "closed"


def _numbers(text: str) -> set[int]:
    if not text:
        return set()
    return {port for first, last in PortSet.parse(text).ranges for port in range(first, last + 1)}
