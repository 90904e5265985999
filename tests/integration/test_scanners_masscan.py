"""Real masscan on the target network. Needs root and masscan; about 15 s, most of it waiting for late replies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cloudx.domain.findings import Finding, each
from cloudx.scanners.masscan.records import Replies
from cloudx.scanners.masscan.scanner import RESULTS_FILE, Masscan
from cloudx.services.chunks.scanner_port import RunProgress
from cloudx.worker.reply_wait import ReplyWait
from cloudx.worker.scanner_process import ScannerProcess
from fixtures.scanner_run import SCANNERS, RunOutcome, losing_its_results, nearly_full_disk, run_scanner
from fixtures.servers.network import Network

RUNS: dict[str, dict[str, Any]] = {
    "tcp": {"type_name": "tcp_scan", "target": "10.77.3.0/24", "ports": "22,80,8080,9000-9003"},
    "udp": {"type_name": "udp_scan", "target": "10.77.3.0/24", "ports": "53-55"},
    "ping": {"type_name": "ping_scan", "target": "10.77.3.0/24"},
    "nothing": {"type_name": "tcp_scan", "target": "10.77.3.0/28", "ports": "9"},
    "one on the link": {"type_name": "tcp_scan", "target": "10.78.0.1", "ports": "80,81"},
    # Two halves of one scan that overlap in time, as on a node whose last chunk still waits.
    "half A": {"type_name": "tcp_scan", "target": "10.77.64.0/22", "ports": "80,443", "rate_pps": 2000},
    "half B": {"type_name": "tcp_scan", "target": "10.77.68.0/22", "ports": "80,443", "rate_pps": 2000},
}
Runs = dict[str, Future[RunOutcome]]


@pytest.fixture(scope="module")
def runs(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Every run at once: they share one interface and must not mind."""
    base = tmp_path_factory.mktemp("masscan")
    with ThreadPoolExecutor(len(RUNS)) as pool:
        yield {
            name: pool.submit(
                run_scanner, network, base / name.replace(" ", "-"), "masscan", **{"rate_pps": 1000, **settings}
            )
            for name, settings in RUNS.items()
        }


def test_tcp_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    outcome = runs["tcp"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.open == network.expected("10.77.3.0/24", [22, 80, 8080])


def test_udp_finds_exactly_the_known_listeners(runs: Runs, network: Network) -> None:
    assert runs["udp"].result().open == network.expected("10.77.3.0/24", [53], "udp")


def test_ping_finds_every_live_host(runs: Runs) -> None:
    outcome = runs["ping"].result()
    assert outcome.open == {(f"10.77.3.{last}", 0) for last in range(256)}
    assert {(finding.protocol, finding.state) for finding in outcome.observed} == {("icmp", "up")}  # type: ignore[union-attr]


def test_a_run_that_finds_nothing_has_succeeded(runs: Runs) -> None:
    outcome = runs["nothing"].result()
    assert outcome.succeeded, outcome.last_words
    assert outcome.observed == []


def test_a_single_address_on_the_link_is_reached_by_its_own_mac(runs: Runs) -> None:
    assert runs["one on the link"].result().open == {("10.78.0.1", 80)}


def test_two_runs_at_once_on_one_interface_lose_nothing(runs: Runs, network: Network) -> None:
    first, second = runs["half A"].result(), runs["half B"].result()
    assert first.open == network.expected("10.77.64.0/22", [80, 443])
    assert second.open == network.expected("10.77.68.0/22", [80, 443])


@pytest.mark.parametrize("name", RUNS)
def test_progress_only_grows_and_says_when_only_late_replies_are_awaited(runs: Runs, name: str) -> None:
    steps = runs[name].result().progress
    shares = [step.sent_share for step in steps]
    assert shares == sorted(shares)
    assert [step.sending_done for step in steps] == sorted(step.sending_done for step in steps)
    assert steps[-1].sending_done
    assert steps[-1].sent_share == 1.0


def test_sending_is_known_to_be_done_seconds_before_the_run_ends(runs: Runs) -> None:
    waiting = [step for step in runs["half A"].result().progress if step.sending_done]
    assert len(waiting) > 5  # status lines of the wait itself


def test_replies_to_other_runs_are_dropped(runs: Runs) -> None:
    mine, other = runs["half A"].result(), runs["half B"].result()
    both = b"".join((run.folder / RESULTS_FILE).read_bytes() for run in (mine, other, mine))
    (mine.folder / RESULTS_FILE).write_bytes(both)
    replies = Replies(mine.assignment)
    replies.read_on(mine.folder / RESULTS_FILE)
    replies.save(mine.folder)
    found = list(each(SCANNERS[Masscan.tool].findings(mine.assignment, mine.folder)))
    assert len(found) == len(mine.observed)
    assert {(finding.ip, finding.port) for finding in found if isinstance(finding, Finding)} == mine.open


def test_a_killed_masscan_has_not_succeeded(network: Network, tmp_path: Path) -> None:
    outcome = run_scanner(
        network,
        tmp_path / "killed",
        "masscan",
        "tcp_scan",
        "10.77.0.0/16",
        ports="80",
        rate_pps=1000,
        on_progress=lambda progress, process: process.end(),
    )
    assert not outcome.succeeded


def test_every_thread_of_masscan_goes_before_other_processes(network: Network, tmp_path: Path) -> None:
    policies: set[int] = set()

    def look(progress: RunProgress, process: ScannerProcess) -> None:
        threads = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
        policies.update(os.sched_getscheduler(thread) for thread in threads if len(threads) > 1)
        process.end()

    run_scanner(network, tmp_path / "first", "masscan", "tcp_scan", "10.77.0.0/16", "80", 1000, on_progress=look)
    assert policies == ({os.SCHED_RR} if (os.cpu_count() or 1) > 1 else {os.SCHED_OTHER})


def test_while_it_waits_its_sender_sleeps_longer_and_its_receiver_still_goes_first(
    network: Network, tmp_path: Path
) -> None:
    seen: list[set[tuple[int, int]]] = []

    def look(progress: RunProgress, process: ScannerProcess) -> None:
        if progress.sending_done:
            waits.append(waits[0] if waits else ReplyWait(Masscan.tool, process.pid))
            waits[0].goes_on()
            threads = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
            seen.append({(os.sched_getscheduler(thread), slack_ns(thread)) for thread in threads})

    waits: list[ReplyWait] = []
    outcome = run_scanner(network, tmp_path / "r", "masscan", "tcp_scan", "10.77.3.0/28", "80", 1000, on_progress=look)
    assert outcome.succeeded
    receiver = (os.SCHED_RR, 0) if (os.cpu_count() or 1) > 1 else (os.SCHED_OTHER, 50_000)
    assert {(os.SCHED_OTHER, 1_000_000), receiver} in seen
    assert {(os.SCHED_OTHER, 50_000), receiver} in seen, "its end would be noticed late"


def slack_ns(thread: int) -> int:
    return int(Path(f"/proc/{thread}/timerslack_ns").read_text())


def test_a_run_on_a_full_disk_is_refused_though_masscan_ends_well(network: Network, tmp_path: Path) -> None:
    what = ("masscan", "tcp_scan", "10.77.3.0/24", "80", 1000)
    lost = run_scanner(network, tmp_path / "lost", *what, change=losing_its_results(RESULTS_FILE))
    assert lost.succeeded and not lost.observed, "masscan tells of it now: ask it, not the disk"
    with nearly_full_disk(tmp_path / "disk") as disk, pytest.raises(OSError, match="No space left"):
        run_scanner(network, disk / "run", *what)
