"""nmap 7.95, as Debian 13 has it, keeps the same promises. Needs root; the first run fetches it by apt.

Skipped only where it cannot be had, with what scripts/find-newer-nmap says of it.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudx.domain.findings import Finding
from cloudx.services.chunks.scanner_port import Command
from fixtures.scanner_run import run_scanner
from fixtures.servers.network import Network

ROOT = Path(__file__).parents[2]
Change = Callable[[Command], Command]
# A service whose greeting has control bytes and is no UTF-8: nmap 7.95 writes them into its XML as they came.
ODD_SERVICE = """
import socket
server = socket.create_server(("10.77.3.9", 21))
print("ready", flush=True)
while True:
    client, _ = server.accept()
    try:
        client.sendall(b"220 odd \\x01\\x02\\x08\\xff ftp ready\\r\\n")
        client.recv(99)
    except OSError:
        pass
    client.close()
"""


@pytest.fixture(scope="module")
def newer() -> Change:
    """A change to a command: Debian 13's nmap in the place of the system's."""
    found = subprocess.run([ROOT / "scripts" / "find-newer-nmap"], capture_output=True, text=True, timeout=500)
    if found.returncode != 0:
        pytest.skip(f"Debian 13's nmap cannot be had here: {found.stderr.strip()[-300:]}")
    words = found.stdout.split("\n")[:-1]
    return lambda command: dataclasses.replace(command, argv=[*words, *command.argv[1:]])


@pytest.fixture
def odd_service(network: Network) -> Iterator[None]:
    command = ["ip", "netns", "exec", network.target_namespace, sys.executable, "-P", "-c", ODD_SERVICE]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    assert service.stdout.readline() == "ready\n"
    try:
        yield
    finally:
        service.kill()
        service.communicate()


def test_it_is_the_newer_one(newer: Change) -> None:
    argv = newer(Command(["nmap", "--version"])).argv
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in said.split()[2].split("."))
    assert version >= (7, 95)


@pytest.mark.parametrize(
    ("type_name", "target", "ports", "protocol"),
    [("default", "10.77.3.0/28", "7,22,80,443,8080", "tcp"), ("tcp", "10.77.3.0/29", "22,80", "tcp"),
     ("udp", "10.77.3.0/29", "53,54", "udp")],
)  # fmt: skip
def test_it_finds_exactly_the_known_listeners(
    network: Network, tmp_path: Path, newer: Change, type_name: str, target: str, ports: str, protocol: str
) -> None:
    outcome = run_scanner(network, tmp_path / "run", "nmap", type_name, target, ports, change=newer)
    assert outcome.succeeded, outcome.last_words
    assert outcome.unprobed is None
    assert outcome.open == network.expected(target, [int(port) for port in ports.split(",")], protocol)
    assert outcome.progress[-1].sent_share == pytest.approx(1.0)


def test_odd_bytes_of_one_host_cost_that_text_alone(
    network: Network, tmp_path: Path, newer: Change, odd_service: None
) -> None:
    outcome = run_scanner(network, tmp_path / "run", "nmap", "intense", "10.77.3.8/31", "21,80", change=newer)
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == {("10.77.3.8", 80), ("10.77.3.9", 80), ("10.77.3.9", 21)}
    (odd,) = [each for each in outcome.observed if isinstance(each, Finding) and each.port == 21]
    assert odd.service == "ftp"


def test_a_target_without_a_route_was_not_probed_and_the_others_were(
    network: Network, tmp_path: Path, newer: Change
) -> None:
    network.run("ip", "route", "add", "unreachable", "10.77.98.0/24")
    try:
        outcome = run_scanner(
            network, tmp_path / "run", "nmap", "quick", "10.77.3.0-10.77.3.1 10.77.98.1", ports="80", change=newer
        )
    finally:
        network.run("ip", "route", "del", "unreachable", "10.77.98.0/24")
    assert outcome.open == {("10.77.3.0", 80), ("10.77.3.1", 80)}
    assert outcome.unprobed is not None
    assert outcome.unprobed.addresses.texts() == ["10.77.98.1"]


def test_a_host_over_its_time_limit_is_failed_and_what_was_found_of_the_others_is_kept(
    network: Network, tmp_path: Path, newer: Change
) -> None:
    with network.target_rule("INPUT", "-d", "10.77.7.9", "-p", "tcp", "!", "--dport", "80", "-j", "DROP"):
        outcome = run_scanner(
            network, tmp_path / "run", "nmap", "default", "10.77.7.8/31", "1-3000", change=newer, timeout_seconds=8
        )
    assert {("10.77.7.8", 80), ("10.77.7.8", 443)} <= outcome.open
    assert outcome.unprobed is not None
    assert outcome.unprobed.addresses.texts() == ["10.77.7.9"]
    assert outcome.unprobed.timed_out == 1
