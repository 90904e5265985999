"""`cloudx worker --scan ID`, as Nomad starts and stops it: when it leaves, and what it leaves behind. Needs root."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, Desk
from fixtures.servers.network import Network
from fixtures.servers.postgres import PostgresServer
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

KILL_SECONDS = 20  # jobs/scan.nomad.hcl: kill_timeout
PATIENCE_SECONDS = 60  # a worker may take long to start on a busy machine
PORT = "81"

StartWorker = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(
    desk: Desk, postgres: PostgresServer, postgres_database: str, network: Network, tmp_path: Path
) -> Iterator[StartWorker]:
    """Starts one for a scan on the scanner's machine, as a dispatch does."""
    started: list[subprocess.Popen[bytes]] = []
    environment = clean_environment(
        DATABASE_URL=postgres.socket_url_of(postgres_database.rpartition("/")[2]),
        CLOUDX_DATA_DIR=str(tmp_path),
        CLOUDX_EXECUTOR="nomad",
        NODE_ID="node-1",
    )

    def start(scan_id: str) -> subprocess.Popen[bytes]:
        with open(tmp_path / "log", "ab") as log, network.inside():
            worker = subprocess.Popen([*CLOUDX, "worker", "--scan", scan_id], env=environment, stdout=log, stderr=log)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        if worker.poll() is None:
            worker.kill()
        worker.wait(10)


def states(desk: Desk, scan: Scan) -> Counter[str]:
    return Counter(row["state"] for row in desk.chunk_rows(scan))


def outcomes(desk: Desk, scan: Scan) -> Counter[str]:
    with desk.engine.connect() as connection:
        query = text("SELECT outcome, count(*) FROM attempts WHERE scan_id = :id GROUP BY outcome")
        return Counter(dict(map(tuple, connection.execute(query, {"id": scan.id}))))


def has_requested(desk: Desk) -> bool:
    """True once the worker has requested a chunk and got none."""
    with desk.engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM asking_workers WHERE node_id = 'node-1'")))


def test_on_sigint_it_gives_back_what_it_sends_and_leaves_in_time(desk: Desk, start_worker: StartWorker) -> None:
    scan = desk.submit("10.77.0.0/16", ports=PORT, rate_pps=1_000)
    worker = start_worker(scan.id)
    until(lambda: states(desk, scan)["leased"], 30)
    time.sleep(1)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(KILL_SECONDS) == 0
    assert states(desk, scan)["leased"] == 0
    assert set(outcomes(desk, scan)) == {"released"}, "no chunk was waited for"


def test_on_sigint_a_chunk_that_only_waits_for_replies_is_finished(desk: Desk, start_worker: StartWorker) -> None:
    scan = desk.submit("10.77.0.0/22", ports=PORT, rate_pps=1_000)  # a second of sending, three of waiting

    def only_waits() -> bool:
        return any(row["state"] == "leased" and not row["sending"] for row in desk.chunk_rows(scan))

    worker = start_worker(scan.id)
    until(only_waits, 30, lambda: states(desk, scan))
    time.sleep(0.7)  # its grant is given free a moment before it has sent everything
    worker.send_signal(signal.SIGINT)
    assert worker.wait(KILL_SECONDS) == 0
    assert "released" not in outcomes(desk, scan)
    assert states(desk, scan)["done"] >= 1


def test_it_stays_while_others_have_all_the_chunks_and_leaves_with_the_scan(
    desk: Desk, start_worker: StartWorker
) -> None:
    scan = desk.submit("10.77.0.0/24", ports=PORT, rate_pps=1_000)
    claim = desk.must_claim("another")
    worker = start_worker(scan.id)
    until(lambda: has_requested(desk), PATIENCE_SECONDS)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(4)
    desk.complete(claim)
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED
    assert worker.wait(PATIENCE_SECONDS) == 0


def test_it_takes_over_a_chunk_that_another_gives_back(desk: Desk, start_worker: StartWorker) -> None:
    scan = desk.submit("10.77.0.0/24", ports=PORT, rate_pps=1_000)
    claim = desk.must_claim("another")
    worker = start_worker(scan.id)
    until(lambda: has_requested(desk), PATIENCE_SECONDS)
    desk.expire(claim)
    reconcile_scans(desk.open_ledger)  # as the API does: a worker's login may not
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert desk.show(scan).scan.status is ScanStatus.COMPLETED


def test_it_leaves_at_once_when_its_scan_is_stopped_or_is_not_there(desk: Desk, start_worker: StartWorker) -> None:
    scan = desk.submit("10.77.0.0/24", ports=PORT, rate_pps=1_000)
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    workers = [start_worker(scan.id), start_worker("01a20f49-9c11-7810-a14b-9b5d8804d0c4")]
    assert [worker.wait(PATIENCE_SECONDS) for worker in workers] == [0, 0]
