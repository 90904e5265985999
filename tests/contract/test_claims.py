"""Grants, shares, the fence and renewals: on SQLite, and on PostgreSQL by its functions in sql/."""

from __future__ import annotations

import threading
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import insert, text, update

from cloudx.adapters.database.repositories import claims, waiting_scans
from cloudx.adapters.database.repositories.chunks import SqlChunks
from cloudx.adapters.database.schema.tables import dispatches, node_grants, scan_nodes, scans
from cloudx.domain.errors import LeaseLost
from cloudx.domain.rates.grants import clamp_pps, grant_pps, share_pps
from cloudx.services.access.edit_policy import AddExclusion
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import fail_chunk, release_chunk
from cloudx.services.chunks.queue import Claimant, QueueCache
from cloudx.services.chunks.renew import RenewalResult, RunState
from cloudx.services.ledger.records import ClaimRequest, Leased, Refusal
from cloudx.services.scans.control import stop_scan
from fixtures.capabilities import CAPABILITIES
from fixtures.ledgers import ADMIN, LONG_AGO, POSTGRESQL_ALONE, Desk, NameTable, found

CASES = 60


@pytest.fixture
def a_long_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment lasts as long as the slowest machine needs for a test."""
    monkeypatch.setattr(waiting_scans, "MOMENT_SECONDS", 600.0)
    monkeypatch.setattr(waiting_scans, "ARRIVE_SECONDS", 600.0)


def ask(desk: Desk, scan_id: str, share: int, limit: int = 10**9, node: str = "n") -> int | Refusal:
    """The rate that is granted for a share."""
    with desk.open_ledger(at_once=True) as ledger:
        answer = ledger.claims.claim(ClaimRequest(scan_id, f"{node}/w", node, share, limit))
        ledger.commit()
    return answer.lease.rate_pps if isinstance(answer, Leased) else answer


@POSTGRESQL_ALONE
def test_the_clamp_in_sql_is_that_of_the_domain(desk: Desk) -> None:
    dice = Random(5)
    shares = [dice.choice((1, 2, 3, dice.randrange(1, 100), dice.randrange(1, 10**9))) for _ in range(5000)]
    frees = [dice.choice((share - 1, share, share // 2, (share + 1) // 2, 0, -5, 10**10)) for share in shares]
    query = text("SELECT cloudx_clamp_pps(s, f) FROM unnest(CAST(:s AS bigint[]), CAST(:f AS bigint[])) AS t (s, f)")
    with desk.engine.connect() as connection:
        in_sql = connection.execute(query, {"s": shares, "f": frees}).scalars().all()
    assert in_sql == [clamp_pps(share, free) for share, free in zip(shares, frees, strict=True)]


def test_a_claim_grants_what_the_domain_would_at_whatever_is_granted_already(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/16", rate_pps=10)
    dice = Random(7)
    with desk.engine.begin() as connection:
        connection.execute(insert(node_grants).values(node_id="n", granted_pps=0))
        nothing = dict.fromkeys((c.name for c in scan_nodes.c), 0) | {"scan_id": scan.id, "moved_at": LONG_AGO}
        connection.execute(insert(scan_nodes).values(nothing | {"node_id": "elsewhere"}))
    for _ in range(CASES):
        rate, limit = dice.randrange(1, 100), dice.randrange(1, 100)
        elsewhere, here = dice.randrange(0, rate + 1), dice.randrange(0, limit + 1)
        workers, is_registered = dice.randrange(1, 5), dice.random() < 0.5
        with desk.engine.begin() as connection:
            connection.execute(update(scans).values(rate_pps=rate))
            connection.execute(
                update(scan_nodes).where(scan_nodes.c.node_id == "elsewhere").values(granted_pps=elsewhere)
            )
            connection.execute(update(scan_nodes).where(scan_nodes.c.node_id == "n").values(granted_pps=0))
            connection.execute(update(node_grants).where(node_grants.c.node_id == "n").values(granted_pps=here))
        desk.register("n", rate_limit_pps=limit if is_registered else None)
        share = share_pps(1, rate, workers, 99)
        answer = ask(desk, scan.id, share, 200 if is_registered else limit)
        granted = grant_pps(share, limit, rate - elsewhere, limit - here)
        assert answer == granted or (granted == 0 and answer in (Refusal.NO_RATE, Refusal.NODE_FULL))


def test_a_refusal_says_whether_the_scans_rate_is_gone_or_the_nodes(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/18", rate_pps=100)
    desk.register("small", rate_limit_pps=10)
    assert ask(desk, scan.id, 50, node="small") == 10
    assert ask(desk, scan.id, 50, node="small") is Refusal.NODE_FULL
    assert ask(desk, scan.id, 90, node="big") == 90
    assert ask(desk, scan.id, 50, node="other") is Refusal.NO_RATE
    stop_scan(desk.open_ledger, scan.id, ADMIN)
    assert ask(desk, scan.id, 1, node="other") is Refusal.OVER


def test_a_nodes_limit_holds_over_all_its_scans(desk: Desk) -> None:
    desk.register("n", rate_limit_pps=100)
    first, second = (desk.submit("10.0.0.0/18", rate_pps=80) for _ in range(2))
    assert ask(desk, first.id, 80) == 80
    assert ask(desk, second.id, 30) == 20
    assert ask(desk, second.id, 1) is Refusal.NODE_FULL


@POSTGRESQL_ALONE
def test_a_claim_reads_a_few_chunks_though_the_statistics_have_not_heard_of_its_scan(desk: Desk) -> None:
    desk.submit("10.0.0.0/16", rate_pps=10)
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    scan = desk.submit("10.1.0.0/16", rate_pps=10)
    query = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'chunks'")
    with desk.engine.connect() as connection:
        leased = claims.claims_on(connection).claim(ClaimRequest(scan.id, "w", "n", 1, 10))
        assert isinstance(leased, Leased)
        claimed = connection.execute(query).scalar_one()
        assert SqlChunks(connection).finish(leased.lease, 0)
        assert connection.execute(query).scalar_one() - claimed < 10 < desk.show(scan).tally.chunks_total
    assert claimed < 10


@pytest.mark.usefixtures("a_long_moment")
def test_a_worker_that_is_alone_gets_the_whole_rate_and_shares_it_with_workers_that_ask(desk: Desk) -> None:
    for number in range(2, 9):
        desk.register(f"node-{number}")  # alive, but without a worker: they count for nothing
    scan = desk.submit("10.0.0.0/14", rate_pps=1000)
    alone = desk.must_claim("a")
    assert alone.lease.rate_pps == 1000
    assert desk.claim("b") is None  # its asking is written down
    desk.complete(alone)
    assert desk.must_claim("a").lease.rate_pps == 500
    assert desk.must_claim("b").lease.rate_pps == 500
    desk.ask("elsewhere", only_scan=desk.submit("10.9.0.0/30").id)
    assert share(desk, scan.id, "a") == 500


@pytest.mark.usefixtures("a_long_moment")
def test_the_rate_of_a_worker_that_left_goes_to_the_others_within_seconds(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/14", rate_pps=1000)
    desk.ask("node-of-b")
    held = [desk.must_claim("a"), desk.must_claim("b")]
    assert [claim.lease.rate_pps for claim in held] == [500, 500]
    desk.complete(held[0])
    release_chunk(desk.open_ledger, held[1])
    assert share(desk, scan.id, "a") == 500, "a worker counts between two chunks too"
    with desk.engine.begin() as connection:
        connection.execute(update(scan_nodes).values(moved_at=LONG_AGO))
    desk.ask("node-of-b", asked_at=LONG_AGO)
    assert share(desk, scan.id, "a") == 1000


@pytest.mark.usefixtures("a_long_moment")
def test_workers_on_their_way_count_as_soon_as_they_are_dispatched(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/14", rate_pps=1000)
    with desk.open_ledger() as ledger:
        for number in range(4):
            ledger.dispatches.reserve(scan.id, number, f"token-{number}")
        ledger.commit()
    assert share(desk, scan.id, "a") == 250
    with desk.engine.begin() as connection:
        connection.execute(update(dispatches).values(created_at=LONG_AGO))
    assert share(desk, scan.id, "a") == 1000


def test_what_a_slow_node_cannot_send_is_shared_by_the_others(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/14", rate_pps=1000)
    desk.register("slow", rate_limit_pps=100)
    for node in ("slow", "quick"):
        desk.ask(node)
    assert share(desk, scan.id, "a") == (1000 - 94) // 2


def share(desk: Desk, scan_id: str, worker: str) -> int:
    """What a worker's next chunk should get."""
    claimant = Claimant(worker, f"node-of-{worker}", CAPABILITIES, 10**9)
    queue = QueueCache()
    with desk.open_ledger(read_only=True) as ledger:
        queue.read(ledger, claimant)
        (scan,) = (scan for scan in queue.scans if scan.id == scan_id)
        return queue.share_of(scan, claimant, ledger)


def test_another_worker_with_the_same_attempt_number_is_fenced_off(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/24")
    mine = desk.must_claim("mine")
    other = replace(mine, lease=replace(mine.lease, worker_id="other"))
    assert desk.renew(other) is RenewalResult.DROP
    with pytest.raises(LeaseLost):
        desk.complete(other, found("10.0.0.1"))
    with pytest.raises(LeaseLost):
        fail_chunk(desk.open_ledger, other, "boom")
    release_chunk(desk.open_ledger, other)
    assert [row["state"] for row in desk.chunk_rows(scan)] == ["leased"]
    assert desk.complete(mine, found("10.0.0.1")) == 1


def test_all_runs_of_a_worker_are_renewed_at_once_each_with_an_order_of_its_own(desk: Desk) -> None:
    going, stopped = (desk.submit(f"10.{number}.0.0/18", rate_pps=500) for number in (1, 2))
    excluded = desk.submit("10.3.0.0/30")
    held = [desk.must_claim("w", only_scan=scan.id) for scan in (going, stopped, excluded)]
    lost = desk.as_attempt(held[0], 7)
    stop_scan(desk.open_ledger, stopped.id, ADMIN)
    AddExclusion(desk.open_ledger, NameTable())(ADMIN, targets=("10.3.0.1",), note="")
    orders = desk.renew_leases([RunState(claim, 0.25, False) for claim in (*held, lost)])
    assert orders == [RenewalResult.GO_ON, RenewalResult.DROP, RenewalResult.RELEASE, RenewalResult.DROP]
    (row,) = [row for row in desk.chunk_rows(going) if row["state"] == "leased"]
    assert (row["sent_share"], row["sending"]) == (0.25, False)
    assert desk.renew_leases([]) == []


@POSTGRESQL_ALONE
def test_nobody_waits_for_a_commit_under_way_of_another_node(desk: Desk) -> None:
    desk.submit("10.0.0.0/16", rate_pps=1000)
    desk.ask("node-of-b")
    desk.ask("node-of-c")
    slow, other = desk.must_claim("a"), desk.must_claim("b")
    with desk.open_ledger() as ledger:
        assert ledger.chunks.finish(slow.lease, 0)  # and its commit waits for the disk, say
        done: list[Claim | int | list[RenewalResult] | None] = []
        work = (
            lambda: desk.claim("c"),
            lambda: desk.complete(other, found("10.0.0.1")),
            lambda: desk.renew_leases([RunState(slow, 0.5, True)]),
        )
        threads = [threading.Thread(target=lambda job=job: done.append(job()), daemon=True) for job in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(done) == len(work)
        ledger.commit()
    assert [RenewalResult.GO_ON] in done
    assert any(isinstance(result, Claim) for result in done)
