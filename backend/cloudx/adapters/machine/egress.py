"""How packets leave this machine: the kernel's routes and neighbours, a way for each next hop."""

from __future__ import annotations

import contextlib
import socket
import time

from cloudx.domain.addresses import Address, AddressSet, from_key
from cloudx.domain.errors import CloudxError
from cloudx.services.chunks.scanner_port import Egress, Way

from .interface_offloads import offloads_on
from .ip_command import ip_json
from .routes import Route, by_route

_USE_NMAP = "Scan it with nmap, or leave it out with `exclude`."
_NEIGHBOUR_SECONDS = 2.0
_DISCARD_PORT = 9


def ways_to(addresses: AddressSet) -> list[Way]:
    """How these IPv4 addresses leave this machine, a part for each next hop.

    masscan and zmap send every frame of a run to one MAC address, so addresses behind different gateways, on the link
    or on this machine cannot share a run. Raises CloudxError where a gateway does not answer, which may pass.
    """
    ways: list[Way] = []
    parts: dict[NextHop, AddressSet] = {}
    for part in by_route(addresses):
        try:
            hop = _next_hop(from_key(part.ranges[0][0]))
        except Unreachable as error:
            ways.append(Way(part, why_not=error.message))
        else:
            parts[hop] = parts.get(hop, AddressSet()) | part
    return [_way(part, hop) for hop, part in parts.items()] + ways


def _way(addresses: AddressSet, hop: NextHop) -> Way:
    interface, source_ip, gateway_ip = hop
    if gateway_ip is not None:
        mac = neighbour_mac(gateway_ip, interface, target=addresses.slice(0, 1).texts()[0])
        return Way(addresses, Egress(interface, source_ip, gateway_ip, mac, offloads_on(interface)))
    if addresses.size > 1:
        return Way(
            addresses,
            why_not=f"{addresses.texts()[0]} is on the network of {interface} itself, with no gateway to send to; "
            f"masscan and zmap reach one such address at a time. {_USE_NMAP}",
        )
    try:
        mac = neighbour_mac(addresses.texts()[0], interface, target=addresses.texts()[0])
    except CloudxError as error:
        return Way(addresses, why_not=error.message)
    return Way(addresses, Egress(interface, source_ip, None, mac, offloads_on(interface)))


def default_interface() -> str | None:
    """The interface of the default route, if there is one."""
    routes = ip_json("-4", "route", "show", "default")
    return routes[0].get("dev") if routes else None


def neighbour_mac(ip: str, interface: str, target: str) -> str:
    """The MAC address of a neighbour; a datagram to a target behind it makes the kernel resolve it.

    The datagram is not for the neighbour itself: a scan sends to its targets alone. Raises CloudxError.
    """
    deadline = time.monotonic() + _NEIGHBOUR_SECONDS
    while True:
        for neighbour in ip_json("-4", "neigh", "show", "to", ip, "dev", interface):
            if "lladdr" in neighbour and "FAILED" not in neighbour.get("state", []):
                return str(neighbour["lladdr"])
        if time.monotonic() > deadline:
            raise CloudxError(
                f"{ip} does not answer ARP on {interface}: masscan and zmap cannot send there. Check that it is up and "
                f"that {interface} is an Ethernet interface, or use nmap."
            )
        _send_datagram(target)
        time.sleep(0.05)


def _send_datagram(ip: str) -> None:
    """Empty, and no further than the link. An unreachable neighbour is no error: the neighbour table will say so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        sender.sendto(b"", (ip, _DISCARD_PORT))


NextHop = tuple[str, str, str | None]  # interface, source address, gateway


class Unreachable(CloudxError):
    """No packet of masscan or zmap can leave for an address."""


def _next_hop(address: Address) -> NextHop:
    try:
        route: Route = ip_json("-4", "route", "get", str(address))[0]
    except (CloudxError, IndexError) as error:
        raise Unreachable(
            f"This machine has no route to {address}. Add one, or leave it out with `exclude`."
        ) from error
    kind = route.get("type", "unicast")
    if kind == "local":
        raise Unreachable(f"{address} is this machine itself, which masscan and zmap cannot scan. {_USE_NMAP}")
    if kind != "unicast" or "prefsrc" not in route:
        raise Unreachable(f"{address} is no host that can be scanned ({kind}). Leave it out with `exclude`.")
    return route["dev"], route["prefsrc"], route.get("gateway")
