"""A worker that hears of new work rests between its looks, and meanwhile counts as one that would take part."""

from __future__ import annotations

from sqlalchemy import func, select

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import asking_workers
from cloudx.services.chunks.claim import LOOKS_WHERE_REFUSED, Claim
from cloudx.services.chunks.queue import Claimant
from fixtures.capabilities import CAPABILITIES
from fixtures.ledgers import Desk

REST_SECONDS = 500.0


def look(desk: Desk, worker: str) -> Claim | None:
    """Look for a chunk, as a worker that will then rest."""
    return desk.claim_chunk(Claimant(worker, f"node-of-{worker}", CAPABILITIES, 10_000_000), rest_seconds=REST_SECONDS)


def rests_at_least(desk: Desk, worker: str, seconds: float) -> bool:
    noted = asking_workers.c
    query = select(func.count()).where(noted.worker_id == worker, noted.asked_at > db_now(seconds))
    with desk.engine.connect() as connection:
        return bool(connection.execute(query).scalar())


def test_who_rests_still_has_a_share_of_the_next_scan(desk: Desk) -> None:
    assert look(desk, "w1") is None and look(desk, "w2") is None
    desk.submit("10.0.0.0/14", rate_pps=900)
    assert desk.must_claim("w3").lease.rate_pps == 300


def test_who_finds_no_scan_rests_longer_than_who_is_kept_out_by_a_scans_rate(desk: Desk) -> None:
    look(desk, "w1")
    assert rests_at_least(desk, "w1", REST_SECONDS / 2)
    desk.submit("10.0.0.0/24", rate_pps=1)
    assert look(desk, "w2") is not None
    assert look(desk, "w3") is None
    part = REST_SECONDS / LOOKS_WHERE_REFUSED
    assert rests_at_least(desk, "w3", part / 2) and not rests_at_least(desk, "w3", part + 1)


def test_who_does_not_rest_is_soon_forgotten(desk: Desk) -> None:
    assert desk.claim("w1") is None
    assert not rests_at_least(desk, "w1", 1)
