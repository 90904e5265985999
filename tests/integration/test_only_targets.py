"""Every scan type keeps to its targets: no packet leaves for anyone else, and no target is made to send one.

Needs root, tcpdump and the scanners; about two minutes.

The target at OBLIGING is an open proxy and does what it is asked. Whatever it sends to others leaves by an interface
that leads nowhere, and is recorded there. What the scanner's machine sends is recorded on its eth0.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudx.domain.tools import SCAN_TYPES, Tool
from fixtures.recording import Recording, recording
from fixtures.scanner_run import run_scanner
from fixtures.servers.network import Network
from rig import obliging
from rig.network import ip

OBLIGING, THIRD_PARTY = "10.77.7.7", "198.51.100.99"
NOWHERE = "cxnowhere"
PORTS = "21,1080,3128,8080"
WHAT_IS_SCANNED: dict[tuple[str, str], dict[str, Any]] = {
    ("nmap", "default"): {"target": f"{OBLIGING}-9"},
    ("nmap", "quick"): {"target": f"{OBLIGING}-9"},
    ("nmap", "intense"): {"target": OBLIGING, "ports": PORTS},
    ("nmap", "tcp"): {"target": OBLIGING},
    ("nmap", "udp"): {"target": OBLIGING, "ports": "53,161,5353"},
    ("nmap", "full"): {"target": OBLIGING, "rate_pps": 50_000},
    ("nmap", "vuln"): {"target": OBLIGING, "ports": "21,1080"},
    ("zmap", "tcp_syn"): {"target": "10.77.7.0/28", "ports": "3128"},
    ("zmap", "icmp_echo"): {"target": "10.77.7.0/28"},
    ("masscan", "tcp_scan"): {"target": "10.77.7.0/28", "ports": PORTS},
    ("masscan", "udp_scan"): {"target": "10.77.7.0/28", "ports": "53,161"},
    ("masscan", "ping_scan"): {"target": "10.77.7.0/28"},
}
# What every machine's kernel says to its link: who has this address (ARP; RFC 4861), which groups it joins (RFC 3810).
_LINK = "arp or (icmp6 and (ip6[40] == 135 or ip6[40] == 136)) or dst host ff02::16 or dst host ff02::2"
_TARGETS = "dst net 10.77.7.0/28"


@pytest.fixture(scope="module")
def watched(network: Network) -> Iterator[Network]:
    """The target network with a target that does what it is asked, and a way out that leads nowhere."""
    there = network.target_namespace
    ip("-n", there, "link", "add", NOWHERE, "type", "veth", "peer", "name", f"{NOWHERE}2")
    ip("-n", there, "link", "set", f"{NOWHERE}2", "up")
    ip("-n", there, "link", "set", NOWHERE, "arp", "off", "up")  # nobody would answer who has the address
    ip("-n", there, "route", "add", "default", "dev", NOWHERE)
    command = ["ip", "netns", "exec", there, sys.executable, str(Path(obliging.__file__)), OBLIGING, THIRD_PARTY]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert serving.stdout is not None and serving.stdout.readline() == "ready\n", "the servers did not start"
        yield network
    finally:
        serving.kill()
        serving.communicate()
        ip("-n", there, "link", "del", NOWHERE)


@contextmanager
def asking_a_stranger_for_names(watched: Network) -> Iterator[None]:
    """The machine's resolver asks the third party: other tests give this machine a name server of its own."""
    folder = Path("/etc/netns") / watched.scanner_namespace
    had = (folder / "resolv.conf").read_text() if (folder / "resolv.conf").exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(f"nameserver {THIRD_PARTY}\n")
    try:
        yield
    finally:
        if had is None:
            shutil.rmtree(folder)
        else:
            (folder / "resolv.conf").write_text(had)


@contextmanager
def both_recorded(watched: Network, folder: Path) -> Iterator[tuple[Recording, Recording]]:
    """What leaves the scanner's machine, and what leaves the targets for anyone but it."""
    with (
        recording(watched.scanner_namespace, "eth0", folder / "scanner.pcap") as scanner,
        recording(watched.target_namespace, NOWHERE, folder / "targets.pcap") as targets,
    ):
        yield scanner, targets


def test_there_is_a_run_of_every_scan_type() -> None:
    assert WHAT_IS_SCANNED.keys() == {(tool.value, name) for tool, name in SCAN_TYPES}


@pytest.mark.parametrize(("tool", "type_name"), WHAT_IS_SCANNED)
def test_no_packet_leaves_for_anyone_but_the_targets(
    watched: Network, tmp_path: Path, tool: str, type_name: str
) -> None:
    with both_recorded(watched, tmp_path) as (scanner, targets):
        run = run_scanner(watched, tmp_path / "run", tool, type_name, **WHAT_IS_SCANNED[tool, type_name])
    assert run.succeeded, run.last_words
    assert scanner.packets(_TARGETS), "the recording saw nothing of the scan itself"
    assert scanner.packets(f"not ({_TARGETS}) and not ({_LINK})") == []
    assert targets.packets(f"not ({_LINK})") == []


@pytest.mark.parametrize(
    ("script", "port"), [("http-open-proxy", "3128"), ("socks-open-proxy", "1080"), ("ftp-bounce", "21")]
)
def test_the_scripts_that_are_left_out_would_be_seen_talking_to_others(
    watched: Network, tmp_path: Path, script: str, port: str
) -> None:
    """Else the tests above would prove nothing of scripts. Two of them ask a name server first, another stranger."""

    def is_seen(attempt: int) -> bool:
        folder = tmp_path / str(attempt)
        folder.mkdir()
        with both_recorded(watched, folder) as (scanner, targets):
            options = ["-n", "-Pn", "-p", port, "--script", f"+{script}", "--dns-servers", THIRD_PARTY]
            with asking_a_stranger_for_names(watched):
                watched.run("nmap", *options, OBLIGING)
        return bool(
            targets.packets(f"dst host {THIRD_PARTY}") or scanner.packets(f"not ({_TARGETS}) and not ({_LINK})")
        )

    assert any(is_seen(attempt) for attempt in range(6))  # nmap's own patience with a busy target ends early


def test_a_packet_of_the_scanner_for_anyone_else_would_be_seen(watched: Network, tmp_path: Path) -> None:
    with both_recorded(watched, tmp_path) as (scanner, _):
        watched.run("nmap", "-n", "-sn", "-PE", THIRD_PARTY)
    assert scanner.packets(f"not ({_TARGETS}) and not ({_LINK})")


def test_ipv6_scans_keep_to_their_targets_too(watched: Network, tmp_path: Path) -> None:
    with both_recorded(watched, tmp_path) as (scanner, targets):
        run = run_scanner(watched, tmp_path / "run", Tool.NMAP, "intense", "fd77::7", "7,81")
    assert run.succeeded, run.last_words
    assert scanner.packets("dst host fd77::7")
    assert scanner.packets(f"not (dst host fd77::7) and not ({_LINK})") == []
    assert targets.packets(f"not ({_LINK})") == []
