"""Real zmap on the target network. Needs root and zmap; about 8 s, most of it waiting for late replies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudx.services.chunks.scanner_port import RunProgress
from cloudx.worker.scanner_process import ScannerProcess
from fixtures.scanner_run import RunOutcome, run_scanner
from fixtures.servers.network import Network

RUNS: dict[str, dict[str, Any]] = {
    "tcp": {"type_name": "tcp_syn", "target": "10.77.3.0/24", "ports": "80"},
    "few listeners": {"type_name": "tcp_syn", "target": "10.77.3.0/24", "ports": "8080"},
    "icmp": {"type_name": "icmp_echo", "target": "10.77.3.1-10.77.3.77"},
    "one address": {"type_name": "tcp_syn", "target": "10.77.3.3", "ports": "22"},
}
Runs = dict[str, Future[RunOutcome]]


@pytest.fixture(scope="module")
def runs(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Every run at once."""
    base = tmp_path_factory.mktemp("zmap")
    with ThreadPoolExecutor(len(RUNS)) as pool:
        yield {
            name: pool.submit(run_scanner, network, base / name.replace(" ", "-"), "zmap", **settings)
            for name, settings in RUNS.items()
        }


def test_tcp_syn_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    outcome = runs["tcp"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == network.expected("10.77.3.0/24", [80])


def test_closed_ports_are_no_findings(runs: Runs) -> None:
    assert runs["few listeners"].result().open == {("10.77.3.4", 8080)}


def test_icmp_echo_finds_every_live_host_of_an_odd_range(runs: Runs) -> None:
    outcome = runs["icmp"].result()
    assert outcome.open == {(f"10.77.3.{last}", 0) for last in range(1, 78)}
    assert {(one.protocol, one.state) for one in outcome.observed} == {("icmp", "up")}  # type: ignore[union-attr]


def test_a_single_address_can_be_scanned(runs: Runs) -> None:
    assert runs["one address"].result().open == {("10.77.3.3", 22)}


@pytest.mark.parametrize("name", RUNS)
def test_progress_only_grows_and_says_when_only_late_replies_are_awaited(runs: Runs, name: str) -> None:
    steps = runs[name].result().progress
    shares = [step.sent_share for step in steps]
    assert shares == sorted(shares)
    assert [step.sending_done for step in steps] == sorted(step.sending_done for step in steps)
    assert steps[-1].sending_done
    assert steps[-1].sent_share == 1.0
    assert sum(step.sending_done for step in steps) >= 2  # said while it waits, not at the end


def test_a_killed_zmap_has_not_succeeded(network: Network, tmp_path: Path) -> None:
    outcome = run_scanner(
        network,
        tmp_path / "killed",
        "zmap",
        "tcp_syn",
        "10.77.0.0/16",
        ports="80",
        rate_pps=1000,
        on_progress=lambda progress, process: process.end(),
    )
    assert not outcome.succeeded


def test_zmap_goes_before_the_processes_of_every_other_session(network: Network, tmp_path: Path) -> None:
    nice_values: set[str] = set()

    def look(progress: RunProgress, process: ScannerProcess) -> None:
        if nice_values:
            return  # it was ended after the first look
        own = [os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in Path(f"/proc/{process.pid}/task").iterdir()]
        nice_values.update(f"nice {value}" for value in own)
        session = Path(f"/proc/{process.pid}/autogroup")
        if session.exists():  # else the kernel weighs processes, not sessions
            nice_values.add(session.read_text().split(maxsplit=1)[1].strip())
        process.end()

    run_scanner(network, tmp_path / "first", "zmap", "tcp_syn", "10.77.0.0/16", "80", 1000, on_progress=look)
    assert nice_values == {"nice -10"}
