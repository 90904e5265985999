"""Real masscan and zmap and the workers' own networks: who sends to them, and what is said where nobody can."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cloudx.domain.errors import NoCapableNode
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.scans.results import stream_findings
from cloudx.services.scans.view import ScanView, prove_coverage
from fixtures.ledgers import Desk
from fixtures.servers.network import SCANNER_IP, ExtraMachine, Network
from fixtures.servers.postgres import PostgresServer
from fixtures.servers.service import CLOUDX
from rig.environment import clean_environment
from rig.waiting import until

LINK = "10.78.0.0/28"  # on the first machine's wire: the gateway 10.78.0.1 listens there, nobody else answers
BEHIND = "10.77.0.0/28"
PORT = "80"
RATE_PPS = 2_000
TOOLS = pytest.mark.parametrize("tool", ["masscan", "zmap"])

StartWorker = Callable[[str, Network], None]


@pytest.fixture(scope="module")
def other(network: Network) -> Iterator[Network]:
    """A machine with a wire of its own, which routes to the first one's network."""
    extra = ExtraMachine(network, 2)
    extra.build()
    yield extra
    extra.remove()


@pytest.fixture
def start_worker(desk: Desk, postgres: PostgresServer, postgres_database: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Starts a resident worker on a machine and waits until it has told its networks."""
    started: list[subprocess.Popen[bytes]] = []

    def start(node_id: str, machine: Network) -> None:
        url = postgres.socket_url_of(postgres_database.rpartition("/")[2])
        environment = clean_environment(DATABASE_URL=url, CLOUDX_DATA_DIR=str(tmp_path / node_id), NODE_ID=node_id)
        with open(tmp_path / f"{node_id}.log", "wb") as log, machine.inside():
            started.append(subprocess.Popen([*CLOUDX, "worker"], env=environment, stdout=log, stderr=log))

        def has_told() -> bool:
            with desk.open_ledger(read_only=True) as ledger:
                return any(node.node_id == node_id and node.reach is not None for node in ledger.nodes.all())

        until(has_told, 60, lambda: (tmp_path / f"{node_id}.log").read_text()[-3000:])

    yield start
    for worker in started:
        worker.terminate()
    for worker in started:
        worker.wait(20)


def finished(desk: Desk, scan: Scan) -> ScanView[Scan]:
    until(lambda: desk.show(scan).scan.status.is_final, 90, lambda: desk.show(scan))
    return desk.show(scan)


def nodes_that_did(desk: Desk, scan: Scan, address: str) -> set[str | None]:
    """Who did the chunks in which an address is."""
    _, proofs = prove_coverage(desk.open_ledger, scan.id)
    return {
        proof.record.node_id
        for proof in proofs
        if any(address == str(one) for one in proof.record.span.addresses_of(scan))
    }


def open_ports(desk: Desk, scan: Scan) -> set[str]:
    return {row.ip for row in stream_findings(desk.open_ledger, scan.id)}


@TOOLS
def test_what_is_on_the_only_workers_network_is_refused_before_it_starts(
    desk: Desk, start_worker: StartWorker, network: Network, tool: str
) -> None:
    start_worker("node-1", network)
    with pytest.raises(NoCapableNode, match=r"10\.78\.0\.0-10\.78\.0\.15 .*nmap") as refused:
        desk.submit(LINK, tool=tool, ports=PORT)
    assert refused.value.details["addresses"] == ["10.78.0.0-10.78.0.15"]


@TOOLS
def test_what_one_machine_has_on_its_wire_is_probed_by_the_one_that_routes_there(
    desk: Desk, start_worker: StartWorker, network: Network, other: Network, tool: str
) -> None:
    start_worker("node-1", network)
    start_worker("node-2", other)
    scan = desk.submit(LINK, tool=tool, ports=PORT, rate_pps=RATE_PPS)
    view = finished(desk, scan)
    assert (view.scan.status, view.coverage.failed, view.warnings) == (ScanStatus.COMPLETED, 0, ())
    assert nodes_that_did(desk, scan, "10.78.0.1") == {"node-2"}
    assert "10.78.0.1" in open_ports(desk, scan)


@TOOLS
def test_a_part_that_turns_out_to_be_impossible_is_failed_by_itself_with_the_reason(
    desk: Desk, start_worker: StartWorker, network: Network, tool: str
) -> None:
    start_worker("node-1", network)
    desk.register("node-0")  # it tells nothing of its networks, and is gone after the submit
    scan = desk.submit(BEHIND, LINK, SCANNER_IP, tool=tool, ports=PORT, rate_pps=RATE_PPS)
    forget(desk, "node-0")
    view = finished(desk, scan)
    assert view.scan.status is ScanStatus.COMPLETED and view.scan.error is None
    assert (view.coverage.completed, view.coverage.failed, view.coverage.remaining) == (16, 16, 0)
    assert view.warnings[0] == "Completed in part: 16 of 32 probes failed."
    assert any("is on the network of eth0" in words and "nmap" in words for words in view.warnings)
    assert any(f"{SCANNER_IP} is this machine itself" in words for words in view.warnings)
    assert open_ports(desk, scan) == {f"10.77.0.{number}" for number in range(16)}


def test_addresses_behind_two_gateways_are_scanned_apart_in_one_scan(
    desk: Desk, start_worker: StartWorker, network: Network
) -> None:
    second_gateway = "10.78.0.77"
    network.run_on_target("ip", "addr", "add", f"{second_gateway}/24", "dev", "eth0")
    network.run("ip", "route", "add", "10.77.5.0/24", "via", second_gateway)
    try:
        start_worker("node-1", network)
        scan = desk.submit("10.77.5.0/29", "10.77.6.0/29", "10.78.0.1", ports=PORT, rate_pps=RATE_PPS)
        view = finished(desk, scan)
    finally:
        network.run("ip", "route", "del", "10.77.5.0/24")
        network.run_on_target("ip", "addr", "del", f"{second_gateway}/24", "dev", "eth0")
    assert (view.scan.status, view.coverage.completed, view.coverage.failed) == (ScanStatus.COMPLETED, 17, 0)
    assert open_ports(desk, scan) == {f"10.77.{net}.{n}" for net in (5, 6) for n in range(8)} | {"10.78.0.1"}


def forget(desk: Desk, node_id: str) -> None:
    """As if it had been silent for long."""
    with desk.engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET last_seen = '2001-01-01' WHERE node_id = :id"), {"id": node_id})
