"""A rate holds for everything that leaves, measured on the wire, for every type that takes one. Needs root and nmap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudx.domain.targets import parse_targets
from cloudx.domain.tools import SCAN_TYPES, Tool
from fixtures.scanner_run import run_scanner
from fixtures.sent_packets import SentPackets, most_in_a_second
from fixtures.servers.network import Network

TYPES = [
    scan_type.name for (tool, _), scan_type in SCAN_TYPES.items() if tool is Tool.NMAP and not scan_type.unheld_pps
]
# Each rate with as many hosts as take a few seconds; ports 80, 443 and 53 are open everywhere, the worst case.
HOSTS = {20: 8, 200: 64, 2000: 512}
PORTS = {"udp": "53,54", "quick": "80", "default": "80,443,444"}


def test_every_type_that_keeps_a_rate_is_measured() -> None:
    assert TYPES == ["default", "quick", "tcp", "udp", "full"]


@pytest.mark.parametrize("rate_pps", HOSTS)
def test_no_second_has_more_packets_than_the_rate_that_was_asked_for(
    network: Network, tmp_path: Path, rate_pps: int
) -> None:
    targets = {name: f"10.77.{number * 16}.0/20" for number, name in enumerate(TYPES, start=2)}

    def run(name: str) -> set[tuple[str, int]]:
        first = targets[name].removesuffix("0/20")
        last = parse_targets(f"{first}0/20").addresses.slice(0, HOSTS[rate_pps]).texts()[0]
        outcome = run_scanner(
            network, tmp_path / name, "nmap", name, last, PORTS.get(name, "80,443"), rate_pps, is_rate_asked=True
        )
        assert outcome.succeeded, outcome.last_words
        return outcome.open

    with SentPackets(network) as sent, ThreadPoolExecutor(len(TYPES)) as pool:
        found = dict(zip(TYPES, pool.map(run, TYPES), strict=True))
    most = {name: sent.most_in_a_second(targets[name]) for name in TYPES}
    assert all(len(found[name]) >= HOSTS[rate_pps] for name in TYPES), "each of them did its work"
    assert {name: count for name, count in most.items() if count > 1.05 * rate_pps} == {}
    assert min(most.values()) > 0.3 * rate_pps, "and used the rate"


def test_the_measure_counts_any_second_wherever_it_begins() -> None:
    assert most_in_a_second([0.0, 0.96, 1.1, 1.8, 1.95, 5.0]) == 4
