"""How packets leave this machine: the kernel's routes and neighbours, read by `ip -j`."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from typing import Any

from cloudx.domain.addresses import Address, AddressSet, from_key
from cloudx.domain.errors import CloudxError
from cloudx.services.chunks.scanner_port import Egress

from .interface_offloads import offloads_on
from .ip_command import ip_json

_USE_NMAP = "Scan it with nmap, or leave it out with `exclude`."
_NEIGHBOUR_SECONDS = 2.0
_DISCARD_PORT = 9
_MAX_ROUTES = 5_000  # a router with a full table has one next hop for most of it, so these are enough


def egress_for(addresses: AddressSet) -> Egress:
    """The egress that all these IPv4 addresses share.

    masscan and zmap send every frame of a run to one MAC address, so addresses behind different gateways, on the link
    or on this machine cannot share a run. Raises CloudxError naming them and the remedy.
    """
    hops = {_next_hop(address): address for address in _one_per_route(addresses)}
    if len(hops) > 1:
        two = " and ".join(f"{address} ({_described(hop)})" for hop, address in list(hops.items())[:2])
        raise CloudxError(f"masscan and zmap use one gateway a run, but {two} differ. Scan them apart, or with nmap.")
    ((interface, source_ip, gateway_ip), address) = next(iter(hops.items()))
    if gateway_ip is None and addresses.size > 1:
        raise CloudxError(
            f"{addresses.texts()[0]} is on the network of {interface} itself, with no gateway to send to; masscan "
            f"and zmap reach one such address at a time. {_USE_NMAP}"
        )
    mac = neighbour_mac(gateway_ip or str(address), interface, target=str(address))
    return Egress(interface, source_ip, gateway_ip, mac, offloads_on(interface))


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


def _described(hop: NextHop) -> str:
    interface, _, gateway_ip = hop
    return f"via {gateway_ip}" if gateway_ip else f"on the link of {interface}"


def _next_hop(address: Address) -> NextHop:
    try:
        route: dict[str, Any] = ip_json("-4", "route", "get", str(address))[0]
    except (CloudxError, IndexError) as error:
        raise CloudxError(
            f"This machine has no route to {address}. Add one, or leave it out with `exclude`."
        ) from error
    kind = route.get("type", "unicast")
    if kind == "local":
        raise CloudxError(f"{address} is this machine itself, which masscan and zmap cannot scan. {_USE_NMAP}")
    if kind != "unicast" or "prefsrc" not in route:
        raise CloudxError(f"{address} is no host that can be scanned ({kind}). Leave it out with `exclude`.")
    return route["dev"], route["prefsrc"], route.get("gateway")


def _one_per_route(addresses: AddressSet) -> list[Address]:
    """An address for each route that part of the set may take: to look up every address would take hours."""
    found: list[Address] = []
    rest = addresses
    for network in _more_specific_first(ip_json("-4", "route", "show", "table", "all")[:_MAX_ROUTES]):
        inside = rest & AddressSet.of_networks([network])
        if inside:
            found.append(from_key(inside.ranges[0][0]))
            rest = rest - inside
    return found + ([from_key(rest.ranges[0][0])] if rest else [])


def _more_specific_first(routes: list[dict[str, Any]]) -> list[ipaddress.IPv4Network]:
    named = {route["dst"] for route in routes if route.get("type") != "broadcast"} - {"default"}
    networks = {ipaddress.IPv4Network(dst) for dst in named}
    return sorted(networks, key=lambda network: -network.prefixlen)
