"""A claim that a crash of PostgreSQL takes back is only a lost lease (docs/adr/0009): kill -9 of a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from cloudx.adapters.database import open_ledger_on, upgrade
from cloudx.domain.errors import DependencyUnavailable, LeaseLost
from cloudx.domain.scans import ScanStatus
from cloudx.services.access.edit_policy import ensure_first_scope
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.scans.results import page_findings
from fixtures.ledgers import Desk, found
from fixtures.servers.postgres import PostgresServer, new_server


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that writes to disk only what a commit waits for."""
    server = new_server()
    server.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    server.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
    server.execute("ALTER SYSTEM SET autovacuum = off")
    server.restart()
    yield server
    server.remove()


@pytest.fixture
def desk(server: PostgresServer, new_engine: Callable[[str], Engine]) -> Desk:
    engine = new_engine(server.url)
    upgrade(engine)
    open_ledger = open_ledger_on(engine)
    ensure_first_scope(open_ledger)
    return Desk(open_ledger, engine)


def crash(server: PostgresServer, desk: Desk) -> None:
    """kill -9, and up again."""
    server.kill()
    server.start()
    for _ in range(50):
        try:
            with desk.open_ledger(read_only=True) as ledger:
                ledger.now()
            return
        except DependencyUnavailable:
            time.sleep(0.1)


def test_a_claim_that_a_crash_took_back_is_claimed_again_and_counted_once(server: PostgresServer, desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    first = desk.must_claim("first")
    assert desk.renew(first) is RenewalResult.GO_ON
    crash(server, desk)
    assert [row["state"] for row in desk.chunk_rows(scan)] == ["pending"], "the claim was not soft"
    assert desk.books(scan) == ({}, {})
    assert desk.renew(first) is RenewalResult.DROP
    with pytest.raises(LeaseLost):
        desk.complete(first, found("10.0.0.1", 1))

    second = desk.must_claim("second")
    assert second.lease.attempt == first.lease.attempt, "the number alone is no fence any more"
    assert desk.renew(first) is RenewalResult.DROP
    with pytest.raises(LeaseLost):
        desk.complete(first, found("10.0.0.1", 1))
    assert desk.complete(second, found("10.0.0.1", 2)) == 1

    crash(server, desk)
    view = desk.show(scan)
    assert view.scan.status is ScanStatus.COMPLETED, "what was completed is there after any crash"
    assert (view.coverage.completed, view.tally.chunks_done) == (256, 1)
    rows, _ = page_findings(desk.open_ledger, scan.id, None, 10)
    assert [row.port for row in rows] == [2]
    assert desk.books(scan) == desk.recounted(scan)


def test_a_completion_brings_its_own_soft_claim_to_the_disk(server: PostgresServer, desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=500)
    done, open_one = desk.must_claim("a"), None
    desk.renew(done, 1.0, sending=False)
    open_one = desk.must_claim("b")
    desk.complete(done, found("10.0.0.1"))
    crash(server, desk)
    states = {row["number"]: row["state"] for row in desk.chunk_rows(scan)}
    assert states[done.lease.span.number] == "done"
    assert states[open_one.lease.span.number] == "leased", "it was written before the completion"
    assert desk.renew(open_one) is RenewalResult.GO_ON
