"""Real nmap on the target network. Needs root and nmap; about 20 s, since the runs share their waiting."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudx.domain.findings import Finding
from cloudx.domain.tools import SCAN_TYPES, Tool
from cloudx.scanners.nmap.options import options
from fixtures.assignments import assign
from fixtures.scanner_run import RunOutcome, prefixed, run_scanner
from fixtures.servers.network import Network

# What a container without NET_RAW has: root, but no raw socket.
WITHOUT_RAW_SOCKETS = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--")
RUNS: dict[str, dict[str, Any]] = {
    "default": {"type_name": "default", "target": "10.77.3.0/28"},
    "quick": {"type_name": "quick", "target": "10.77.3.0/28"},
    "intense": {"type_name": "intense", "target": "10.77.3.4", "ports": "80,81,8080"},
    "tcp": {"type_name": "tcp", "target": "10.77.3.0/28", "ports": "22,80"},
    "udp": {"type_name": "udp", "target": "10.77.3.0/29", "ports": "53,54"},
    "both": {"type_name": "default", "target": "10.77.3.0/29", "ports": "T:http,22,U:domain,54"},
    "full": {"type_name": "full", "target": "10.77.3.5", "rate_pps": 50_000},
    "vuln": {"type_name": "vuln", "target": "10.77.3.6", "ports": "7,8"},
    "ipv6": {"type_name": "default", "target": "fd77::/124", "ports": "80,81"},
    "unprivileged": {"type_name": "default", "target": "10.77.3.0/28", "ports": "22,80,443", "raw_sockets": False},
    "unprivileged intense": {"type_name": "intense", "target": "10.77.3.6", "ports": "7", "raw_sockets": False},
    "down": {"type_name": "default", "target": "10.78.0.1-10.78.0.9", "ports": "80"},
    "one address, down": {"type_name": "default", "target": "10.78.0.99", "ports": "80"},
}


@pytest.fixture(scope="module")
def runs(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[RunOutcome]]]:
    """Every run at once: nmap mostly waits."""
    base = tmp_path_factory.mktemp("nmap")
    with ThreadPoolExecutor(6) as pool:
        yield {
            name: pool.submit(
                run_scanner,
                network,
                base / name.replace(" ", "-"),
                "nmap",
                change=prefixed(*WITHOUT_RAW_SOCKETS) if "unprivileged" in name else prefixed(),
                **settings,
            )
            for name, settings in RUNS.items()
        }


Runs = dict[str, Future[RunOutcome]]


def test_default_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    outcome = runs["default"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == network.expected("10.77.3.0/28", [7, 22, 80, 443, 8080])


def test_quick_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    assert runs["quick"].result().open == network.expected("10.77.3.0/28", [7, 22, 80, 443, 8080])


def test_tcp_completes_its_handshakes_and_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    assert runs["tcp"].result().open == network.expected("10.77.3.0/28", [22, 80])


def test_udp_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    assert runs["udp"].result().open == network.expected("10.77.3.0/29", [53], "udp")


def test_tcp_and_udp_ports_of_one_scan_are_found_each_by_its_protocol(runs: Runs, network: Network) -> None:
    outcome = runs["both"].result()
    found = {(one.ip, one.port, one.protocol) for one in outcome.observed if isinstance(one, Finding)}
    tcp, udp = network.expected("10.77.3.0/29", [22, 80]), network.expected("10.77.3.0/29", [53], "udp")
    assert found == {(*pair, "tcp") for pair in tcp} | {(*pair, "udp") for pair in udp}


def test_full_finds_a_listener_on_a_port_no_list_names(runs: Runs) -> None:
    assert runs["full"].result().open == {("10.77.3.5", 80), ("10.77.3.5", 443), ("10.77.3.5", 50123)}


def test_intense_brings_service_and_operating_system_and_keeps_a_hostile_banner_as_text(runs: Runs) -> None:
    outcome = runs["intense"].result()
    assert outcome.open == {("10.77.3.4", 80), ("10.77.3.4", 8080)}
    assert "Linux" in (outcome.hosts["10.77.3.4"].os_name or "")
    service = next(finding for finding in outcome.observed if getattr(finding, "port", None) == 80)
    assert service.extra["scripts"]["http-server-header"] == "<script>alert(1)</script>&evil; ]]><host>"


def test_vuln_runs_its_scripts_and_finds_exactly_the_known_listener(runs: Runs) -> None:
    outcome = runs["vuln"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == {("10.77.3.6", 7)}


def test_ipv6_addresses_are_scanned_like_ipv4_ones(runs: Runs, network: Network) -> None:
    outcome = runs["ipv6"].result()
    assert outcome.open == network.expected("fd77::/124", [80])
    assert len(outcome.hosts) == 16


def test_without_raw_sockets_it_falls_back_to_connect_and_finds_the_same(runs: Runs, network: Network) -> None:
    outcome = runs["unprivileged"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == network.expected("10.77.3.0/28", [22, 80, 443])


def test_intense_works_without_raw_sockets_too(runs: Runs) -> None:
    outcome = runs["unprivileged intense"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == {("10.77.3.6", 7)}


def test_hosts_that_are_down_count_as_probed_and_leave_no_row(runs: Runs) -> None:
    outcome = runs["down"].result()
    assert outcome.succeeded, outcome.last_words
    assert set(outcome.hosts) == {"10.78.0.1", "10.78.0.2"}  # the gateway and the scanner's own address


def test_one_address_of_which_nothing_is_heard_is_never_called_up(runs: Runs) -> None:
    outcome = runs["one address, down"].result()
    assert outcome.succeeded, outcome.last_words
    assert [host.state for host in outcome.hosts.values()] in ([], ["unknown"])


@pytest.mark.parametrize("name", RUNS)
def test_progress_only_grows_and_ends_at_one(runs: Runs, name: str) -> None:
    shares = [step.sent_share for step in runs[name].result().progress]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_progress_moves_while_the_scan_runs(runs: Runs) -> None:
    assert any(0.1 < step.sent_share < 0.9 for step in runs["intense"].result().progress)


def test_a_killed_nmap_has_not_succeeded(network: Network, tmp_path: Path) -> None:
    outcome = run_scanner(
        network,
        tmp_path / "killed",
        "nmap",
        "full",
        "10.77.9.0/28",
        rate_pps=2000,
        on_progress=lambda progress, process: process.end(),
    )
    assert not outcome.succeeded


def test_a_scan_that_nmap_refuses_says_why(network: Network, tmp_path: Path) -> None:
    outcome = run_scanner(
        network,
        tmp_path / "refused",
        "nmap",
        "udp",
        "10.77.3.3",
        ports="53",
        raw_sockets=False,
    )
    assert not outcome.succeeded
    assert "requires root privileges" in outcome.last_words


def test_an_ordinary_run_has_probed_every_host_up_or_down(runs: Runs) -> None:
    for name in ("default", "udp", "ipv6", "down", "one address, down", "unprivileged"):
        assert runs[name].result().unprobed is None, name


def test_targets_without_a_route_were_not_probed_and_the_others_were(network: Network, tmp_path: Path) -> None:
    network.run("ip", "route", "add", "unreachable", "10.77.99.0/24")
    try:
        outcome = run_scanner(network, tmp_path / "run", "nmap", "quick", "10.77.3.0-10.77.3.1 10.77.99.1", ports="80")
    finally:
        network.run("ip", "route", "del", "unreachable", "10.77.99.0/24")
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == {("10.77.3.0", 80), ("10.77.3.1", 80)}
    assert outcome.unprobed is not None
    assert outcome.unprobed.addresses.texts() == ["10.77.99.1"]
    assert "failed to determine route" in outcome.unprobed.reason


def test_hosts_whose_packets_the_nodes_firewall_refused_were_not_probed(network: Network, tmp_path: Path) -> None:
    rule = ("OUTPUT", "-d", "10.77.6.0/30", "-j", "DROP")
    network.run("iptables", "-A", *rule)
    try:
        outcome = run_scanner(network, tmp_path / "run", "nmap", "default", "10.77.6.0/29", ports="22,80")
    finally:
        network.run("iptables", "-D", *rule)
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == {(f"10.77.6.{last}", 80) for last in range(4, 8)}
    assert outcome.unprobed is not None
    assert outcome.unprobed.addresses.texts() == ["10.77.6.0-10.77.6.3"]
    assert "sendto: Operation not permitted" in outcome.unprobed.reason


@pytest.mark.parametrize("type_name", [name for tool, name in SCAN_TYPES if tool is Tool.NMAP])
def test_no_type_runs_a_script_that_makes_a_target_or_the_node_talk_to_anybody_else(type_name: str) -> None:
    argv = options(assign("nmap", type_name))
    assert not {"-sC", "-A"} & set(argv)
    if "--script" not in argv:
        return
    chosen = argv[argv.index("--script") + 1]
    listed = subprocess.run(["nmap", "--script-help", chosen], capture_output=True, text=True, check=True).stdout
    scripts = dict(re.findall(r"^([a-z0-9-]+)\nCategories: (.*)$", listed, re.MULTILINE))
    assert len(scripts) > 50, "the expression chooses scripts"
    assert not [
        name for name, categories in scripts.items() if {"external", "broadcast", "dos"} & set(categories.split())
    ]
    assert "ftp-bounce" not in scripts


def test_a_host_over_its_time_limit_is_given_up_and_the_others_results_are_kept(
    network: Network, tmp_path: Path
) -> None:
    with network.target_rule("INPUT", "-d", "10.77.7.1", "-p", "tcp", "!", "--dport", "80", "-j", "DROP"):
        outcome = run_scanner(
            network, tmp_path / "run", "nmap", "default", "10.77.7.0/30", ports="1-3000", timeout_seconds=8
        )
    assert outcome.succeeded, outcome.last_words
    assert {("10.77.7.0", 80), ("10.77.7.2", 80), ("10.77.7.3", 443)} <= outcome.open
    assert outcome.unprobed is not None
    assert outcome.unprobed.addresses.texts() == ["10.77.7.1"]
    assert outcome.unprobed.timed_out == 1
    assert "time limit" in outcome.unprobed.reason
    assert "10.77.7.1" in outcome.hosts, "that it is up was found before"
