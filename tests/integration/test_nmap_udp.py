"""Closed UDP ports are no findings, although their host tells of one a second. Needs root and nmap; 90 s of waiting."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fixtures.scanner_run import RunOutcome, run_scanner
from fixtures.servers.network import ExtraMachine, Network
from fixtures.servers.service import Service

CLOSED = "2000-2029"  # 30 ports, and 53 serves
ONE_HOST, TWO_HOSTS = "10.77.8.1", "10.77.8.1-10.77.8.2"
RUNS = 3


class LimitedNetwork(Network):
    """Targets with Linux's ordinary limit; all of their addresses are behind one limiter for each scanner's machine."""

    def __init__(self) -> None:
        super().__init__()
        self.scanner_namespace, self.target_namespace = (f"cxtest-{kind}udp-{os.getpid()}" for kind in ("scan", "tgt"))

    def build(self) -> None:
        """Make it."""
        super().build()
        self.set_limit_milliseconds(1000)

    def set_limit_milliseconds(self, between: int) -> None:
        """Of the target, as net.ipv4.icmp_ratelimit has it."""
        setting = f"net.ipv4.icmp_ratelimit={between}"
        subprocess.run(["ip", "netns", "exec", self.target_namespace, "sysctl", "-qw", setting], check=True)


@pytest.fixture(scope="module")
def machines() -> Iterator[list[Network]]:
    """Several scanner's machines, each with an allowance of its own at the targets."""
    network = LimitedNetwork()
    extra = [ExtraMachine(network, number) for number in range(11, 11 + 2 * RUNS - 1)]
    try:
        network.build()
        for machine in extra:
            machine.build()
        yield [network, *extra]
    finally:
        for each in [*extra, network]:
            each.remove()


@pytest.fixture(scope="module")
def outcomes(machines: list[Network], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[RunOutcome]]:
    """Three runs of each, side by side on machines of their own."""
    base = tmp_path_factory.mktemp("udp")
    turns = [(target, number) for target in (ONE_HOST, TWO_HOSTS) for number in range(RUNS)]

    def run(place: int) -> RunOutcome:
        return run_scanner(machines[place], base / f"{place}", "nmap", "udp", turns[place][0], f"53,{CLOSED}")

    with ThreadPoolExecutor(len(turns)) as pool:
        done = list(pool.map(run, range(len(turns))))
    return {target: [done[place] for place, (of, _) in enumerate(turns) if of == target] for target, _ in turns}


@pytest.mark.parametrize("target", [ONE_HOST, TWO_HOSTS])
def test_no_closed_port_behind_an_ordinary_limiter_is_called_open_or_stays_in_doubt(
    outcomes: dict[str, list[RunOutcome]], target: str
) -> None:
    hosts = {ONE_HOST: 1, TWO_HOSTS: 2}[target]
    for outcome in outcomes[target]:
        assert outcome.succeeded, outcome.last_words
        assert outcome.open == {(f"10.77.8.{last}", 53) for last in range(1, hosts + 1)}
        assert outcome.unprobed is None


def test_the_first_pass_alone_would_have_been_wrong(outcomes: dict[str, list[RunOutcome]]) -> None:
    passes = [len(list(outcome.folder.glob("scan*.xml"))) for every in outcomes.values() for outcome in every]
    assert min(passes) >= 2, "else this limiter limits nothing"


def test_progress_of_all_passes_only_grows(outcomes: dict[str, list[RunOutcome]]) -> None:
    for outcome in outcomes[TWO_HOSTS]:
        shares = [step.sent_share for step in outcome.progress]
        assert shares == sorted(shares)


def test_a_scan_through_the_api_asks_again_too(machines: list[Network], tmp_path: Path) -> None:
    machine = machines[0]
    service = Service(tmp_path / "data", prefix=machine.prefix)
    with machine.inside():
        service.start()
        try:
            scan_id = service.scan(target="10.77.9.1", tool="nmap", scan_type="udp", ports=f"53,{CLOSED}")
            shown = service.wait_for(scan_id, 300)
            rows = service.call("GET", f"/api/scans/{scan_id}/results?format=json").json()["items"]
        finally:
            service.stop()
    assert shown["status"] == "completed", shown
    assert shown["rate"] is None
    assert [(row["ip"], row["port"], row["state"]) for row in rows] == [("10.77.9.1", 53, "open")]
