"""A scan as it is asked for, and what can be said of it before anything is looked up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import IPV6_BASE, AddressSet
from cloudx.domain.errors import Forbidden, InvalidInput, NoCapableNode
from cloudx.domain.names import Family
from cloudx.domain.nodes import Node
from cloudx.domain.port_set import PortSet
from cloudx.domain.rates.prefix_caps import PrefixCaps
from cloudx.domain.reach import blocked_everywhere
from cloudx.domain.scans import Scan
from cloudx.domain.tools import DEFAULT_RATE_PPS, SCAN_TYPES, PortRule, ScanType, Tool

from .second_stage import Then

MAX_RATE_PPS = 10_000_000
USERS_PRIORITY = 0  # the highest that an operator may give
MAX_TIMEOUT_SECONDS = 7 * 86_400
SHOWN_RANGES = 5
SHOWN_IN_DETAILS = 1000
_LOOPBACK = AddressSet.of_texts(["0.0.0.0", "127.0.0.0-127.255.255.255"])  # noqa: S104 - a target, not a listener
_EXAMPLE_PORTS = "80, 80,443 or 1-1000"


@dataclass(frozen=True)
class ScanRequest:
    """A scan as a user typed it; `rate_pps` over the whole fleet."""

    targets: tuple[str, ...]  # empty where a list is named
    tool: str
    scan_type: str | None = None
    ports: str | None = None
    rate_pps: int | None = None
    exclude: tuple[str, ...] = ()
    priority: int = 0
    name: str | None = None
    max_workers: int | None = None
    retries: int | None = None
    budget_seconds: int | None = None
    family: Family | None = None  # None: a name's IPv4 addresses, or its IPv6 addresses where it has no other
    skip_unresolved: bool = False
    timeout_seconds: int | None = None  # of one host
    resolve: bool = False
    suspended: bool = False  # submitted paused
    list_name: str | None = None
    then: Then | None = None  # what follows on the open ports
    rate_per_prefix: dict[str, int] | None = None  # packets per second to any prefix, by its length

    def sha256(self) -> str:
        """A hash that is equal for equal requests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def ports_of(request: ScanRequest, scan_type: ScanType) -> PortSet | None:
    """The ports that it asks for; None where the type has its own, or none. Raises InvalidInput."""
    scan_name = f"{scan_type.tool} {scan_type.name}"
    if request.ports is None or str(request.ports).strip() == "":
        if scan_type.ports in (PortRule.REQUIRED, PortRule.ONE):
            example = "80" if scan_type.ports is PortRule.ONE else _EXAMPLE_PORTS
            raise InvalidInput("port", f"{scan_name} needs a port: give for example {example}.")
        return None
    if scan_type.ports is PortRule.NONE:
        raise InvalidInput("port", f"{scan_name} sends ICMP and takes no port: leave it out.")
    ports = PortSet.parse(request.ports, "port", scan_type)
    if scan_type.ports is PortRule.ONE and ports.size != 1:
        raise InvalidInput("port", f"{scan_name} takes one port; use masscan for several.")
    return ports


def rate_pps_of(request: ScanRequest, scan_type: ScanType) -> int:
    """Packets per second over the whole fleet. Raises InvalidInput."""
    if (rate := request.rate_pps) is None:
        return DEFAULT_RATE_PPS[scan_type.tool]
    if scan_type.unheld_pps:
        paced = [known.name for known in SCAN_TYPES.values() if known.tool is Tool.NMAP and not known.unheld_pps]
        raise InvalidInput(
            "rate",
            f"{scan_type.tool} {scan_type.name} takes no rate: nothing holds its version and script probes to one. "
            f"Leave rate out, or use one of: {', '.join(paced)}.",
        )
    if not 1 <= rate <= MAX_RATE_PPS:
        raise InvalidInput("rate", f"A rate is from 1 to {MAX_RATE_PPS} packets per second over the whole fleet.")
    return rate


def caps_of(request: ScanRequest, scan_type: ScanType) -> PrefixCaps:
    """What may go to any one prefix. Raises InvalidInput."""
    caps = PrefixCaps.parse(request.rate_per_prefix)
    if caps and request.then is not None:
        raise InvalidInput("rate_per_prefix", "Nothing holds a second stage to rate_per_prefix: leave one of them out.")
    if caps and scan_type.unheld_pps:
        raise InvalidInput(
            "rate_per_prefix",
            f"{scan_type.tool} {scan_type.name} takes no rate_per_prefix: nothing holds its version and script "
            "probes to a rate. Leave it out, or use another scan type.",
        )
    return caps


def require_prefixes(caps: PrefixCaps, addresses: AddressSet) -> None:
    """Refuse caps that no target can have a prefix for. Raises InvalidInput."""
    versions = {key >= IPV6_BASE for key, _ in addresses.ranges}
    if caps and not all(caps.of_version(is_ipv6) for is_ipv6 in versions):
        raise InvalidInput(
            "rate_per_prefix", "IPv4 has prefixes of up to 32 bits: give rate_per_prefix one of those too."
        )


def check_priority(request: ScanRequest, principal: Principal) -> None:
    """Raise Forbidden for a priority above USERS_PRIORITY that is not an admin's."""
    if request.priority > USERS_PRIORITY and not principal.reaches(Role.ADMIN):
        raise Forbidden(
            f"A priority above {USERS_PRIORITY} is an admin's to give, since such a scan goes before everybody else's; "
            f"{principal.name} has {principal.role}. Leave it out, or ask an admin."
        )


def check_timeout(request: ScanRequest, scan_type: ScanType) -> None:
    """Only nmap gives hosts up. Raises InvalidInput."""
    if request.timeout_seconds is None:
        return
    if scan_type.tool is not Tool.NMAP:
        raise InvalidInput(
            "timeout_seconds",
            f"{scan_type.tool} gives no host up: leave timeout_seconds out, or use nmap.",
        )
    if not 1 <= request.timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidInput("timeout_seconds", f"timeout_seconds is from 1 to {MAX_TIMEOUT_SECONDS:,}, for one host.")


def require_sendable(scan: Scan, fit: Sequence[Node]) -> None:
    """Refuse what masscan and zmap can send to from no fit node. Raises NoCapableNode."""
    if scan.tool is Tool.NMAP:
        return
    stuck = blocked_everywhere(scan.addresses, [node.reach for node in fit])
    if not stuck:
        return
    ranges = stuck.texts()
    more = f" and {len(ranges) - SHOWN_RANGES:,} more" if len(ranges) > SHOWN_RANGES else ""
    raise NoCapableNode(
        f"{scan.tool} cannot send to {', '.join(ranges[:SHOWN_RANGES])}{more} from any node that could run it: it "
        f"sends by a gateway, and each of them has these addresses on its own network or has no route there. Scan "
        "them with nmap, or leave them out with `exclude`.",
        addresses=ranges[:SHOWN_IN_DETAILS],
    )


def require_reachable(targets: AddressSet, scan_type: ScanType) -> None:
    """Refuse what masscan and zmap can never reach: they write IPv4 Ethernet frames, and loopback has none."""
    if scan_type.tool is Tool.NMAP:
        return
    if targets.ipv4_size < targets.size:
        raise InvalidInput("target", f"{scan_type.tool} scans IPv4 alone here; use nmap for IPv6 addresses.")
    if targets & _LOOPBACK:
        raise InvalidInput("target", f"{scan_type.tool} cannot scan loopback (127.0.0.0/8); use nmap for it.")
