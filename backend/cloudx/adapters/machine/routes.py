"""The kernel's routes, read by `ip -j`: which of them leads where, and what masscan and zmap can send to at all."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from cloudx.domain.addresses import AddressSet
from cloudx.domain.reach import MAX_RANGES, Reach

from .ip_command import ip_json

Route = dict[str, Any]

_MAX_ROUTES = 5_000  # a router with a full table has one next hop for most of it, so these are enough
_USUAL_RULES = 3  # local, main, default: no more means that the destination alone decides
_EVERYTHING = AddressSet.of_networks([ipaddress.IPv4Network("0.0.0.0/0")])
_NO_HOSTS = AddressSet.of_networks([ipaddress.IPv4Network("224.0.0.0/3")])  # multicast, and what is reserved


def read_reach() -> Reach | None:
    """What masscan and zmap can send to from here; None where a list cannot tell. Raises CloudxError."""
    routes = ip_json("-4", "route", "show", "table", "all")
    if len(routes) > _MAX_ROUTES or len(ip_json("-4", "rule", "show")) > _USUAL_RULES:
        return None
    links, routed = AddressSet(), AddressSet()
    for network, route in sorted(_by_network(routes), key=lambda pair: pair[0].prefixlen):
        inside = AddressSet.of_networks([network])
        links, routed = links - inside, routed - inside
        if route.get("type", "unicast") != "unicast":
            continue
        if any(name in route for name in ("gateway", "via", "nexthops")):
            routed = routed | inside
        else:
            links = links | inside
    links = links - _NO_HOSTS
    reach = Reach(tuple(links.texts()), tuple((_EVERYTHING - links - (routed - _NO_HOSTS)).texts()))
    return reach if max(len(reach.links), len(reach.unrouted)) <= MAX_RANGES else None


def by_route(addresses: AddressSet) -> Iterator[AddressSet]:
    """The addresses in parts, each on one route: to look up every address would take hours."""
    routes = ip_json("-4", "route", "show", "table", "all")[:_MAX_ROUTES]
    networks = {network for network, route in _by_network(routes) if network.prefixlen > 0}
    rest = addresses
    for network in sorted(networks, key=lambda network: (-network.prefixlen, network)):
        inside = rest & AddressSet.of_networks([network])
        if inside:
            yield inside
            rest = rest - inside
    if rest:
        yield rest


def _by_network(routes: list[Route]) -> Iterator[tuple[ipaddress.IPv4Network, Route]]:
    for route in routes:
        if route.get("type") != "broadcast" and route.get("table", "main") in ("main", "local", "default"):
            dst = "0.0.0.0/0" if route["dst"] == "default" else route["dst"]
            yield ipaddress.IPv4Network(dst), route
