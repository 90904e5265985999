"""What a scan will cost before it runs: probes and seconds, as a guess that people decide by."""

from __future__ import annotations

import math

from cloudx.domain.proof.tries import assumes, tries_of
from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool

from .durations import UDP_PORT_SECONDS, host_seconds, ports_of_a_host


def probes_of(scan: Scan) -> int:
    """Probes that go out at least, each try counted; nmap's host discovery and version probes come on top."""
    if scan.tool is Tool.NMAP:
        return scan.addresses.size * ports_of_a_host(scan.type, scan.ports)
    return scan.addresses.size * scan.units_per_address * tries_of(scan)


def estimated_seconds(scan: Scan, workers: int, chunks: int, rate_pps: int) -> int:
    """What the scan takes if every address is up and nobody else scans; a whole second at least.

    `rate_pps` is what these workers can send together. Dead hosts make nmap faster than this, slow ones slower.
    """
    if not scan.addresses:
        return 0
    sending = probes_of(scan) / rate_pps
    if scan.tool is not Tool.NMAP:
        return math.ceil(sending + assumes(scan).wait_seconds)
    ports = ports_of_a_host(scan.type, scan.ports)
    runs = max(1, min(chunks, workers * scan.type.runs_per_node))
    seconds = max(sending, scan.addresses.size * host_seconds(scan.type, ports) / runs)
    return math.ceil(max(seconds, ports * UDP_PORT_SECONDS) if scan.type.protocol == "udp" else seconds)
