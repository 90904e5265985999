"""The kernel's routes, read by `ip -j`: which of them leads where, and what masscan and zmap can send to at all."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import CloudxError
from cloudx.domain.reach import MAX_RANGES, Reach

Route = dict[str, Any]

_SEARCHED = "/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_ROUTES = 5_000  # a router with a full table has one next hop for most of it, so these are enough
_USUAL_RULES = 3  # local, main, default: no more means that the destination alone decides
_EVERYTHING = AddressSet.of_networks([ipaddress.IPv4Network("0.0.0.0/0")])
_NO_HOSTS = AddressSet.of_networks([ipaddress.IPv4Network("224.0.0.0/3")])  # multicast, and what is reserved


def read_reach() -> Reach | None:
    """What masscan and zmap can send to from here; None where a list cannot tell. Raises CloudxError."""
    routes = run_ip("-4", "route", "show", "table", "all")
    if len(routes) > _MAX_ROUTES or len(run_ip("-4", "rule", "show")) > _USUAL_RULES:
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
    routes = run_ip("-4", "route", "show", "table", "all")[:_MAX_ROUTES]
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


def run_ip(*arguments: str) -> list[Route]:
    """What `ip -j` says. Raises CloudxError."""
    path = shutil.which("ip", path=_SEARCHED)
    if path is None:
        raise CloudxError("`ip` is not installed; install it with `apt-get install iproute2`.")
    done = subprocess.run([path, "-j", *arguments], capture_output=True, timeout=5, check=False)
    if done.returncode != 0:
        raise CloudxError(f"`ip {' '.join(arguments)}` failed: {done.stderr.decode(errors='replace').strip()[:200]}")
    answer: list[Route] = json.loads(done.stdout or b"[]")
    return answer
