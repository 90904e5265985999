"""A worker's short-lived login on PostgreSQL may do what a worker does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from cloudx.adapters.database import open_ledger_on, upgrade
from cloudx.adapters.database.schema.rights import BACKEND, OWNER, WORKER
from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.reconcile import reconcile_scans
from cloudx.services.scans.second_stage import Then
from fixtures.ledgers import Desk, desk_without_node, found
from fixtures.servers.postgres import PostgresServer, new_server


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of its own, since roles belong to the whole server: the cluster's groups and a worker's login."""
    server = new_server()
    for group in (OWNER, BACKEND, WORKER):
        server.execute(f"CREATE ROLE {group}")
    server.execute(f"CREATE ROLE a_worker LOGIN IN ROLE {WORKER}")
    yield server
    server.remove()


@pytest.fixture
def desks(server: PostgresServer, new_engine: Callable[[str], Engine]) -> tuple[Desk, Desk]:
    """An operator's and a worker's."""
    engine = new_engine(server.url)
    upgrade(engine)
    ensure_first_scope(open_ledger_on(engine))
    workers_engine = new_engine(server.url.replace("cloudx@", "a_worker@"))
    return Desk(open_ledger_on(engine), engine), desk_without_node(workers_engine)


def test_a_worker_claims_renews_completes_fails_gives_back_and_finishes_with_its_rights(
    desks: tuple[Desk, Desk],
) -> None:
    operator, worker = desks
    scan = operator.submit("10.0.0.0/20", rate_pps=100)
    failed = worker.must_claim("a", "n")
    worker.renew(failed, 1.0, sending=False)
    fail_chunk(worker.open_ledger, failed, "boom")
    operator.end_back_off(scan)
    returned = worker.must_claim("a", "m")
    release_chunk(worker.open_ledger, returned)
    lost = worker.must_claim("a", "m")
    operator.expire(lost)
    with pytest.raises(DependencyUnavailable, match="refuses this login"):
        reconcile_scans(worker.open_ledger)
    assert reconcile_scans(operator.open_ledger) == 1
    assert worker.claim("waits", node_limit_pps=0) is None
    while claim := worker.claim("b"):
        worker.complete(claim, found(str(next(iter(claim.addresses)))))
    assert operator.show(scan).scan.status is ScanStatus.COMPLETED
    assert (operator.show(scan).coverage.balances, operator.show(scan).coverage.remaining) == (True, 0)


@pytest.mark.parametrize("table", ["tokens", "audit", "idempotency_keys"])
def test_a_worker_reads_no_token_and_no_trail(desks: tuple[Desk, Desk], table: str) -> None:
    with desks[1].engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text(f"SELECT * FROM {table}"))


def test_a_worker_takes_a_scan_through_both_stages_with_its_rights(desks: tuple[Desk, Desk]) -> None:
    operator, worker = desks
    scan = operator.submit("10.0.0.0/30", ports="22,80", then=Then("nmap", "intense"))
    worker.complete(worker.must_claim("a"), found("10.0.0.1", 22), found("10.0.0.1", 80))
    follower = worker.must_claim("a")
    assert follower.scan.follows == scan.id
    worker.complete(follower, found("10.0.0.1", 22, service="ssh"), found("10.0.0.1", 80, state="closed"))
    assert operator.show(scan).scan.status is ScanStatus.COMPLETED
    with operator.open_ledger(read_only=True) as ledger:
        rows = [(row.port, row.state, row.service) for row in ledger.findings.page(scan.id, None, 10)]
    assert rows == [(22, "open", "ssh"), (80, "closed", None)]


@pytest.mark.parametrize(
    "theft",
    [
        "SELECT cloudx_add_follow_ups('{second}', '[{{\"address_count\": 1, \"port_count\": 1}}]', NULL)",
        'SELECT cloudx_replace_findings(\'[{{"scan_id": "{first}", "ip": "10.0.0.1", "protocol": "tcp",'
        ' "port": 80, "state": "open", "node_id": "n", "observed_at": "2026-01-01"}}]\')',
        "INSERT INTO follow_ups VALUES ('{second}', 0, 1, '10.0.0.9', '80', 0, 1, 0, 0)",
        "UPDATE scans SET followed_units = 9 WHERE id = '{second}'",
    ],
)
def test_a_worker_queues_and_replaces_nothing_but_by_the_chunk_that_it_finishes(
    desks: tuple[Desk, Desk], theft: str
) -> None:
    operator, worker = desks
    scan = operator.submit("10.0.0.0/30", ports="22,80", then=Then("nmap", "intense"))
    statement = theft.format(first=scan.id, second=scan.followed_by)
    with worker.engine.begin() as connection, pytest.raises(ProgrammingError):
        connection.execute(text(statement.replace(":", "\\:")))
