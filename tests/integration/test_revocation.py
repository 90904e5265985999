"""What may not be probed any more is not: measured at the targets, with two workers on two machines. Needs root.

Each test lets both workers send, takes the permission away, and looks when the last probe arrived.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from cloudx.adapters.database import engine_for, open_ledger_on, upgrade
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.access.edit_policy import AddExclusion, add_scope
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, Desk, NameTable
from fixtures.servers.network import ExtraMachine, Network
from fixtures.servers.postgres import PostgresServer, new_server
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

TARGETS = "10.77.0.0/16"
PORT = "81"  # nobody listens: no packet but the probes arrives
RATE_PPS = 3_000
MAX_SECONDS = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One of this module's own: a test stops its processes."""
    made = new_server()
    yield made
    made.remove()


@pytest.fixture
def desk(server: PostgresServer) -> Iterator[Desk]:
    """A fresh database in which nothing may be scanned yet."""
    server.execute("DROP DATABASE IF EXISTS revocation WITH (FORCE)")
    server.execute("CREATE DATABASE revocation")
    engine = engine_for(server.url_of("revocation"))
    upgrade(engine)
    yield Desk(open_ledger_on(engine), engine)
    engine.dispose()


@pytest.fixture(scope="module")
def machines(network: Network) -> Iterator[list[Network]]:
    """Two, each with a wire of its own to the same targets."""
    extra = ExtraMachine(network, 1)
    extra.build()
    yield [network, extra]
    extra.remove()


@pytest.fixture
def workers(desk: Desk, server: PostgresServer, machines: list[Network], tmp_path: Path) -> Iterator[list[int]]:
    """A resident worker on each; their process ids."""
    started = []
    for number, machine in enumerate(machines):
        environment = clean_environment(
            DATABASE_URL=server.socket_url_of("revocation"),
            CLOUDX_DATA_DIR=str(tmp_path / str(number)),
            NODE_ID=f"node-{number + 1}",
        )
        with open(tmp_path / f"{number}.log", "wb") as log, machine.inside():
            started.append(subprocess.Popen([*CLOUDX, "worker"], env=environment, stdout=log, stderr=log))

    def have_registered() -> bool:
        with desk.open_ledger(read_only=True) as ledger:
            return {"node-1", "node-2"} <= {node.node_id for node in ledger.nodes.all() if node.ip != "10.0.0.9"}

    try:
        until(have_registered, 60, lambda: [(tmp_path / f"{n}.log").read_text() for n in (0, 1)])
        yield [worker.pid for worker in started]
    finally:
        for worker in started:
            worker.terminate()
        for worker in started:
            worker.wait(20)


class Probes:
    """The probes that have arrived at the targets, on either wire: when, and to which address."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def times(self, to: str) -> list[float]:
        """When (time.time()) the probes to addresses that match a pattern came."""
        lines = [line.split() for line in self._file.read_text().splitlines()]
        # 1795538204.123456 eth0 In IP 10.78.0.2.61000 > 10.77.3.4.81: Flags [S], …
        return [float(words[0]) for words in lines if len(words) > 6 and re.match(to, words[6])]

    def by_wire(self, since: float) -> dict[str, int]:
        """How many came by each wire since then."""
        counts: dict[str, int] = {}
        for line in self._file.read_text().splitlines():
            words = line.split()
            if len(words) > 6 and float(words[0]) >= since:
                counts[words[1]] = counts.get(words[1], 0) + 1
        return counts


@contextmanager
def watching(network: Network, folder: Path) -> Iterator[Probes]:
    """Look at every probe that arrives meanwhile."""
    file = folder / "probes"
    only = ["dst", "net", TARGETS, "and", "tcp[tcpflags] == tcp-syn"]
    tcpdump = ["tcpdump", "-n", "-tt", "-l", "-i", "any", "-Q", "in", *only]
    with open(file, "wb") as out, ExitStack() as undo:
        watcher = subprocess.Popen(
            ["ip", "netns", "exec", network.target_namespace, *tcpdump], stdout=out, stderr=subprocess.PIPE
        )
        undo.callback(watcher.wait, 10)
        undo.callback(watcher.terminate)
        assert watcher.stderr is not None
        while b"listening on" not in watcher.stderr.readline():
            assert watcher.poll() is None, "tcpdump did not start"
        undo.callback(watcher.stderr.close)
        yield Probes(file)


def scan_by_both(desk: Desk, probes: Probes, rate_pps: int = RATE_PPS) -> Scan:
    """A scan that lasts longer than any test, once both machines are in the middle of it."""
    scan = desk.submit(TARGETS, ports=PORT, rate_pps=rate_pps)

    def both_send() -> bool:
        recent = probes.by_wire(time.time() - 1.0)
        return len(recent) == 2 and min(recent.values()) > rate_pps / 10

    until(both_send, 20, lambda: (probes.by_wire(0), desk.show(scan)))
    return scan


def allow(desk: Desk, expires_at: datetime | None = None) -> None:
    add_scope(desk.open_ledger, ADMIN, targets=(TARGETS,), owner="tests", note="", expires_at=expires_at)


def assert_ended_within(seconds: float, since: float, probes: Probes, to: str = ".*") -> None:
    """The last probe came so soon after `since`, and none in the seconds after that; says how soon (pytest -s)."""
    until(lambda: time.time() > since + seconds + 3, seconds + 10)
    times = probes.times(to)
    assert min(times) < since, "nothing was sent beforehand"
    late = max(times) - since
    assert late <= seconds, f"the last probe came {late:.1f} s later"
    print(f"the last probe to {to} came {late:.2f} s later")


def test_a_stopped_scan_sends_nothing_after_five_seconds(
    desk: Desk, workers: list[int], network: Network, tmp_path: Path
) -> None:
    allow(desk)
    with watching(network, tmp_path) as probes:
        scan = scan_by_both(desk, probes)
        stop_scan(desk.open_ledger, scan.id, ADMIN)
        assert_ended_within(MAX_SECONDS, time.time(), probes)
    assert {row["state"] for row in desk.chunk_rows(scan)} <= {"cancelled", "done"}


def test_a_scope_that_expires_ends_its_scan_within_five_seconds(
    desk: Desk, workers: list[int], network: Network, tmp_path: Path
) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=9)
    allow(desk, expires_at)
    with watching(network, tmp_path) as probes:
        scan = scan_by_both(desk, probes)
        assert datetime.now(UTC) < expires_at, "too slow a machine for this test"
        until(lambda: datetime.now(UTC) >= expires_at, 15)
        assert_ended_within(MAX_SECONDS, expires_at.timestamp(), probes)
    shown = desk.show(scan).scan
    assert (shown.status, "is in no live scope any more" in (shown.error or "")) == (ScanStatus.FAILED, True)


def test_a_newly_excluded_network_is_left_alone_within_five_seconds_and_the_scan_goes_on(
    desk: Desk, workers: list[int], network: Network, tmp_path: Path
) -> None:
    allow(desk)
    with watching(network, tmp_path) as probes:
        scan = scan_by_both(desk, probes)
        AddExclusion(desk.open_ledger, NameTable())(ADMIN, targets=("10.77.10.0-10.77.249.255",), note="")
        assert_ended_within(MAX_SECONDS, time.time(), probes, to=r"10\.77\.([1-9]\d|1\d\d|2[0-4]\d)\.")
        until(lambda: desk.show(scan).scan.status.is_final, 60, lambda: desk.show(scan))
    shown = desk.show(scan)
    assert shown.scan.status is ScanStatus.COMPLETED
    assert shown.coverage.excluded == 240 * 256
    assert shown.coverage.completed == 16 * 256


def test_workers_that_cannot_reach_the_ledger_end_their_scanners_when_their_leases_run_out(
    desk: Desk, workers: list[int], server: PostgresServer, network: Network, tmp_path: Path
) -> None:
    allow(desk)
    with watching(network, tmp_path) as probes:
        scan = scan_by_both(desk, probes, rate_pps=1_000)  # chunks of 15 s: none ends before its lease
        with frozen(server):
            assert_ended_within(LEASE_SECONDS + 2.0, time.time(), probes)
        stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert all(psutil.pid_exists(pid) for pid in workers)
    for number in (0, 1):
        assert "chunk.fenced" in (tmp_path / f"{number}.log").read_text()


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """The server accepts connections and answers nothing, as behind a broken network."""
    assert server.pid is not None
    top = psutil.Process(server.pid)
    everything = [top.pid, *(child.pid for child in top.children(recursive=True))]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everything:
            os.kill(pid, signal.SIGCONT)
