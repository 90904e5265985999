"""How long an nmap run is planned to take, when it counts as hung, and when a host's ports are cut too."""

from __future__ import annotations

from dataclasses import replace

from cloudx.domain.port_set import PortSet
from cloudx.domain.scans import Scan
from cloudx.domain.tools import ScanType, Tool

MAX_HOST_SECONDS = 3600.0  # of planned sending to one host: above it, its ports are cut
MAX_SENDING_SECONDS = 300.0  # of a chunk of several hosts, if all of them are up
SPLIT_CHUNK_SECONDS = 900.0  # of sending in such a chunk: each looks for its hosts anew
UDP_PORT_SECONDS = 1.1  # an ordinary Linux host tells of one closed UDP port a second (net.ipv4.icmp_ratelimit)
LEAST_LIMIT_SECONDS = 4 * 3600.0
LIMIT_FACTOR = 6.0  # tries, slow hosts, waits: what hangs is caught late, what is only slow is not killed
EVERY_PORT = PortSet.parse("1-65535")


def ports_of_a_host(scan_type: ScanType, ports: PortSet | None) -> int:
    """How many ports nmap probes of each host."""
    return scan_type.usual_ports if ports is None else ports.size


def host_seconds(scan_type: ScanType, port_count: int) -> float:
    """What one host adds to a run where no rate holds it back, as a planning guess."""
    return scan_type.host_seconds * max(1.0, port_count / scan_type.usual_ports)


def run_seconds(scan_type: ScanType, hosts: int, port_count: int, rate_pps: float) -> float:
    """What a run is planned to take: a packet a port at its rate, at least.

    For UDP at least what one host needs to tell of its closed ports.
    """
    together = hosts * max(host_seconds(scan_type, port_count), port_count / rate_pps)
    return max(together, port_count * UDP_PORT_SECONDS) if scan_type.protocol == "udp" else together


def nmap_limit_seconds(scan: Scan, hosts: int, port_count: int, rate_pps: int) -> float:
    """When an nmap run counts as hung; it follows the plan, so that a slow scan is never taken for a hung one."""
    return max(LEAST_LIMIT_SECONDS, LIMIT_FACTOR * run_seconds(scan.type, hosts, port_count, max(1, rate_pps)))


def with_ports_split(scan: Scan, workers: int, rate_pps: int) -> Scan:
    """The scan as it is cut: its ports too, where nmap would be sending to one host for more than MAX_HOST_SECONDS.

    `rate_pps` is what these workers can send together, which may be less than the scan asks for.

    Not for UDP, where runs side by side would take each other's answers, nor where nmap itself picks the ports.
    """
    ports = scan.ports or (EVERY_PORT if scan.type.usual_ports == EVERY_PORT.size else None)
    if scan.tool is not Tool.NMAP or scan.type.protocol == "udp" or ports is None:
        return scan
    is_slow = ports.size * workers * scan.type.runs_per_node / rate_pps > MAX_HOST_SECONDS
    return replace(scan, ports=ports, splits_ports=True) if is_slow else scan
