"""The scanners, their scan types and what each of them needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from .errors import InvalidInput

NMAP_RUNS_PER_NODE = 4  # nmap waits more than it sends; one process leaves a node idle
# nmap's --max-rate covers discovery and port scan alone. The version, script and OS probes of a run peaked at 5,600 on
# two cores (it has one thread).
NMAP_UNHELD_PPS = 10_000
UNBOUNDED_PPS = 1 << 40  # the rate of a scan for which none was asked and whose tool paces itself


class Tool(StrEnum):
    """A scanner program."""

    NMAP = "nmap"
    MASSCAN = "masscan"
    ZMAP = "zmap"


class PortRule(StrEnum):
    """Whether a scan type takes ports from the user."""

    OPTIONAL = "optional"
    REQUIRED = "required"
    ONE = "one"
    NONE = "none"


@dataclass(frozen=True)
class ScanType:
    """One way of running a tool."""

    tool: Tool
    name: str
    ports: PortRule
    protocol: str  # of the probes whose coverage is counted: tcp, udp or icmp
    host_seconds: float = 0.0  # nmap alone: what one live host takes, as a planning guess
    needs_raw_socket: bool = True  # False: it falls back to connect() calls
    may_send_udp: bool = False  # UDP probes beside its TCP ones, if UDP ports are asked for
    usual_ports: int = 1  # nmap alone: how many it probes where none are named
    unheld_pps: int = 0  # what a run sends at its peak where nothing holds it; 0: it keeps to its grant

    @property
    def counts_hosts(self) -> bool:
        """True where coverage is counted in hosts (nmap), False where it is in probes."""
        return self.tool is Tool.NMAP

    @property
    def asks_versions(self) -> bool:
        """True where it asks services for their product and version: no rate holds the probes for that."""
        return self.unheld_pps > 0

    def sending_udp_too(self) -> ScanType:
        """The same with UDP ports beside its own: there is no UDP scan without raw sockets."""
        return replace(self, needs_raw_socket=True)

    @property
    def runs_per_node(self) -> int:
        """Runs of one scan that go on side by side on a node.

        One for UDP: hosts behind one ICMP limiter would take each other's answers, and one run waits for all of its
        hosts at once.
        """
        return NMAP_RUNS_PER_NODE if self.counts_hosts and self.protocol != "udp" else 1


# host_seconds, for usual_ports, only sizes chunks (about 30 s each); a wrong guess costs balance, never correctness.
# 0.4 makes a /24 one round of a node's four runs: each starts once, and has hosts enough to keep nmap busy.
_TYPES = [
    ScanType(Tool.NMAP, "default", PortRule.OPTIONAL, "tcp", 0.4, False, True, usual_ports=1000),
    ScanType(Tool.NMAP, "quick", PortRule.OPTIONAL, "tcp", 0.2, False, True, usual_ports=100),
    ScanType(Tool.NMAP, "intense", PortRule.OPTIONAL, "tcp", 8.0, False, True, 1000, NMAP_UNHELD_PPS),
    ScanType(Tool.NMAP, "tcp", PortRule.OPTIONAL, "tcp", 0.4, False, usual_ports=1000),
    ScanType(Tool.NMAP, "udp", PortRule.OPTIONAL, "udp", 1.0, True, usual_ports=100),
    ScanType(Tool.NMAP, "full", PortRule.OPTIONAL, "tcp", 30.0, False, True, usual_ports=65535),
    ScanType(Tool.NMAP, "vuln", PortRule.OPTIONAL, "tcp", 30.0, False, True, 1000, NMAP_UNHELD_PPS),
    ScanType(Tool.ZMAP, "tcp_syn", PortRule.ONE, "tcp"),
    ScanType(Tool.ZMAP, "icmp_echo", PortRule.NONE, "icmp"),
    ScanType(Tool.MASSCAN, "tcp_scan", PortRule.REQUIRED, "tcp"),
    ScanType(Tool.MASSCAN, "udp_scan", PortRule.REQUIRED, "udp"),
    ScanType(Tool.MASSCAN, "ping_scan", PortRule.NONE, "icmp"),
]
SCAN_TYPES: dict[tuple[Tool, str], ScanType] = {(t.tool, t.name): t for t in _TYPES}
DEFAULT_SCAN_TYPE = {Tool.NMAP: "default", Tool.ZMAP: "tcp_syn", Tool.MASSCAN: "tcp_scan"}
DEFAULT_RATE_PPS = {Tool.NMAP: UNBOUNDED_PPS, Tool.ZMAP: 1_000, Tool.MASSCAN: 1_000}


def scan_type_of(tool: str, name: str, has_udp_ports: object) -> ScanType:
    """A scan's type, by what the ledger has of it."""
    scan_type = SCAN_TYPES[Tool(tool), name]
    return scan_type.sending_udp_too() if has_udp_ports else scan_type


def scan_type_named(tool: str, name: str | None) -> ScanType:
    """Look up a scan type; without a name, the tool's default. Raises InvalidInput listing what there is."""
    try:
        known = Tool(tool)
    except ValueError:
        raise InvalidInput("tool", f"{tool[:40]!r} is not a tool. Use one of: {', '.join(Tool)}.") from None
    found = SCAN_TYPES.get((known, name or DEFAULT_SCAN_TYPE[known]))
    if found is None:
        names = ", ".join(n for t, n in SCAN_TYPES if t is known)
        raise InvalidInput("scan_type", f"{str(name)[:40]!r} is not a scan type of {known}. Use one of: {names}.")
    return found
