"""The machine as the worker sees it: its tools, and the kernel's way to a target. Needs root and the scanners."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from cloudx.adapters.machine.machine import LocalMachine
from cloudx.domain.nodes import CheckStatus, Preflight
from cloudx.domain.targets import parse_targets
from cloudx.services.chunks.scanner_port import Egress, Way
from fixtures.servers.network import GATEWAY_IP, SCANNER_IP, Network


def preflight_on(network: Network) -> Preflight:
    with network.inside():
        return LocalMachine().preflight()


def ways_on(network: Network, target: str) -> list[Way]:
    with network.inside():
        return LocalMachine().ways_to(parse_targets(target).addresses)


def egress_on(network: Network, target: str) -> Egress:
    (way,) = ways_on(network, target)
    assert way.egress is not None, way.why_not
    return way.egress


def test_preflight_finds_the_tools_and_opens_a_raw_socket(network: Network) -> None:
    found = preflight_on(network)
    assert found.capabilities == ("nmap", "masscan", "zmap", "raw_socket")
    assert set(found.tool_versions) == {"nmap", "masscan", "zmap"}
    assert {check.status for check in found.checks} == {CheckStatus.PASSING}


def test_preflight_names_the_remedy_for_offloads(network: Network) -> None:
    network.set_offloads(on=True)
    try:
        found = preflight_on(network)
    finally:
        network.set_offloads(on=False)
    offloads = next(check for check in found.checks if check.id == "offloads")
    assert found.offloads_on
    assert offloads.status is CheckStatus.WARNING
    assert "ethtool -K eth0 tso off gso off gro off lro off" in offloads.output


def test_the_remedy_for_offloads_cures_them(network: Network) -> None:
    network.set_offloads(on=True)
    try:
        remedy = next(check for check in preflight_on(network).checks if check.id == "offloads").output.split("`")[1]
        network.run("sh", "-c", remedy)
        assert not preflight_on(network).offloads_on
    finally:
        network.set_offloads(on=False)


def test_a_target_behind_the_gateway_leaves_by_its_mac(network: Network) -> None:
    found = egress_on(network, "10.77.0.0/16")
    assert (found.interface, found.source_ip, found.gateway_ip) == ("eth0", SCANNER_IP, GATEWAY_IP)
    assert found.gateway_mac is not None
    assert len(found.gateway_mac.split(":")) == 6


def test_the_gateways_mac_is_found_with_an_empty_neighbour_table(network: Network) -> None:
    network.run("ip", "neigh", "flush", "dev", "eth0")
    assert egress_on(network, "10.77.1.2").gateway_mac is not None


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("127.0.0.1", "is this machine itself"),
        (SCANNER_IP, "is this machine itself"),
        ("10.78.0.40", "does not answer ARP on eth0"),
        ("10.78.0.16/28", "is on the network of eth0 itself"),
        ("224.0.0.1", "is no host that can be scanned"),
    ],
)
def test_addresses_that_masscan_and_zmap_cannot_reach_are_refused_with_a_remedy(
    network: Network, target: str, reason: str
) -> None:
    (way,) = ways_on(network, target)
    assert way.egress is None and reason in way.why_not
    assert "nmap" in way.why_not or "exclude" in way.why_not


def source_on(network: Network, *targets: str) -> str | None:
    with network.inside():
        return LocalMachine().source_for(parse_targets(targets).addresses)


def test_the_source_is_the_one_that_the_kernel_sends_from_and_to_ask_for_it_sends_nothing(network: Network) -> None:
    before = network.target_counter()
    for targets, source in (
        (("10.77.0.0/24",), SCANNER_IP), (("10.77.0.1", "10.77.0.0/16"), SCANNER_IP), (("fd77::1",), "fd78::2"),
        (("127.0.0.1",), "127.0.0.1"), (("::1",), "::1"), (("10.77.0.1", "127.0.0.1"), None),
    ):  # fmt: skip
        assert source_on(network, *targets) == source, targets
    assert network.target_counter() - before < 10  # what kernels say to each other by themselves


def test_addresses_that_leave_from_several_sources_have_none_in_common(network: Network) -> None:
    network.run("ip", "addr", "add", "10.78.0.77/32", "dev", "eth0")
    network.run("ip", "route", "add", "10.77.5.0/24", "via", GATEWAY_IP, "src", "10.78.0.77")
    try:
        assert source_on(network, "10.77.5.0/28") == "10.78.0.77"
        assert source_on(network, "10.77.4.0/28") == SCANNER_IP
        assert source_on(network, "10.77.4.0/23") is None
        assert egress_on(network, "10.77.5.0/28").source_ip == "10.78.0.77"
    finally:
        network.run("ip", "route", "del", "10.77.5.0/24")
        network.run("ip", "addr", "del", "10.78.0.77/32", "dev", "eth0")


def test_an_address_without_a_route_has_no_source(network: Network) -> None:
    network.run("ip", "route", "add", "unreachable", "10.66.0.0/16")
    try:
        assert source_on(network, "10.66.0.1") is None
    finally:
        network.run("ip", "route", "del", "unreachable", "10.66.0.0/16")


def test_addresses_of_several_next_hops_leave_by_a_way_each(network: Network) -> None:
    ways = ways_on(network, f"10.77.0.0/30 10.78.0.1 {SCANNER_IP} 10.77.9.9")
    reached = {tuple(way.addresses.texts()): way.egress and way.egress.gateway_ip for way in ways}
    assert reached == {
        ("10.77.0.0-10.77.0.3", "10.77.9.9"): GATEWAY_IP, ("10.78.0.1",): None, (SCANNER_IP,): None,
    }  # fmt: skip
    assert [way.egress is None for way in ways] == [False, False, True]


def test_preflight_tells_what_is_on_the_link_and_what_no_gateway_leads_to(network: Network) -> None:
    network.run("ip", "route", "add", "unreachable", "203.0.113.0/24")
    network.run("ip", "route", "add", "203.0.113.64/26", "via", GATEWAY_IP)
    try:
        reach = preflight_on(network).reach
    finally:
        network.run("ip", "route", "del", "203.0.113.64/26")
        network.run("ip", "route", "del", "unreachable", "203.0.113.0/24")
    assert reach is not None
    assert reach.links == ("10.78.0.0-10.78.0.1", "10.78.0.3-10.78.0.255")
    assert set(reach.unrouted) == {
        SCANNER_IP, "127.0.0.0-127.255.255.255", "203.0.113.0-203.0.113.63", "203.0.113.128-203.0.113.255",
        "224.0.0.0-255.255.255.255",
    }  # fmt: skip


def test_a_machine_with_rules_of_its_own_for_routes_tells_nothing(network: Network) -> None:
    network.run("ip", "rule", "add", "from", "10.78.0.9", "table", "main")
    try:
        assert preflight_on(network).reach is None
    finally:
        network.run("ip", "rule", "del", "from", "10.78.0.9", "table", "main")


def test_an_address_without_a_route_is_refused_with_a_remedy(network: Network) -> None:
    network.run("ip", "route", "add", "unreachable", "203.0.113.0/24")
    try:
        (way,) = ways_on(network, "203.0.113.0/24")
        assert way.egress is None and "has no route to 203.0.113.0" in way.why_not
    finally:
        network.run("ip", "route", "del", "unreachable", "203.0.113.0/24")


def test_without_net_raw_the_machine_has_no_raw_sockets() -> None:
    source = (
        "from cloudx.adapters.machine.machine import LocalMachine\n"
        "found = LocalMachine().preflight()\n"
        "assert 'raw_socket' not in found.capabilities, found\n"
        "assert any(c.id == 'raw-socket' and 'CAP_NET_RAW' in c.output for c in found.checks), found\n"
    )
    argv = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--", sys.executable, "-c", source]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_host_really_has_raw_sockets_when_it_says_so() -> None:
    if "raw_socket" in LocalMachine().preflight().capabilities:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
