"""What a claim and a completion read does not grow with the ledger: PostgreSQL counts the rows that it fetched."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import Connection, text

from cloudx.adapters.database.ledger import SqlLedger
from cloudx.domain.scans import Scan
from cloudx.services.chunks.finish import release_chunk
from cloudx.services.ledger.records import ClaimRequest, Leased
from fixtures.ledgers import POSTGRESQL_ALONE, Desk

_READ = text("""
    SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE relname IN ('chunks', 'attempts')
    UNION ALL SELECT 'entries', pg_stat_get_xact_tuples_returned('ix_chunks_claim'::regclass)
""")


def rows_read_by_a_turn(desk: Desk, scan: Scan) -> Counter[str]:
    """What one claim and its completion fetched: rows of each table, entries of the index by claim order."""
    with desk.engine.connect() as connection:
        ledger, before = SqlLedger(connection), _rows_read(connection)
        leased = ledger.claims.claim(ClaimRequest(scan.id, "w1", "node-1", 1, 100_000))
        assert isinstance(leased, Leased)
        ledger.chunks.finish(leased.lease, 0, None, None)
        read = _rows_read(connection) - before
        ledger.commit()
    return read


def _rows_read(connection: Connection) -> Counter[str]:
    """By this session, since its figures went to the server's (which they do between transactions)."""
    return Counter({row[0]: row[1] for row in connection.execute(_READ)})


@POSTGRESQL_ALONE
@pytest.mark.parametrize("is_analyzed", [False, True], ids=["statistics that know nothing", "fresh statistics"])
def test_a_turn_reads_no_chunk_or_attempt_of_what_is_done(desk: Desk, is_analyzed: bool) -> None:
    desk.run_to_end(desk.submit("10.1.0.0/16", rate_pps=4))  # about a thousand chunks, and as many attempts
    scan = desk.submit("10.2.0.0/16", rate_pps=100)
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if is_analyzed:
            connection.exec_driver_sql("ANALYZE")
    turns = [rows_read_by_a_turn(desk, scan) for _ in range(40)]
    assert desk.count("chunks") > 1_000
    assert max(turn["chunks"] for turn in turns) < 20, turns
    assert max(turn["attempts"] for turn in turns) < 20, turns


@POSTGRESQL_ALONE
def test_a_turn_passes_by_nothing_that_an_old_snapshot_keeps(desk: Desk) -> None:
    scan = desk.submit("10.2.0.0/16", rate_pps=10)
    with desk.engine.connect().execution_options(isolation_level="REPEATABLE READ") as backup:
        assert backup.execute(text("SELECT count(*) FROM chunks")).scalar_one() > 400  # as pg_dump, or a long ANALYZE
        turns = [rows_read_by_a_turn(desk, scan)["entries"] for _ in range(100)]
    assert sorted(turns)[-3] < 20, turns  # but for a look from the first chunk on, each two seconds


@POSTGRESQL_ALONE
def test_a_chunk_that_was_given_back_is_claimed_though_its_session_looks_further_on(desk: Desk) -> None:
    scan = desk.submit("10.2.0.0/16", rate_pps=100)
    first = desk.must_claim("w1")
    desk.renew(first, sending=False)  # its rate is free
    desk.complete(desk.must_claim("w1"))
    release_chunk(desk.open_ledger, first)
    assert first.lease.span.number in {claim.lease.span.number for claim in desk.run_to_end(scan)}
