"""Users take turns on a node, and no scan holds all of it while another waits; on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import scans
from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Forbidden
from cloudx.domain.scans import Scan
from cloudx.services.chunks.claim import Claim
from cloudx.services.scans.control import stop_scan
from fixtures.ledgers import ADMIN, LONG_AGO, Desk

LIMIT_PPS = 16_000
HIGHEST_PPS = 10_000_000
LARGE = "10.0.0.0/12"
ANN, BOB = (Principal(name, Role.OPERATOR) for name in ("ann", "bob"))


@pytest.fixture(autouse=True)
def node(desk: Desk) -> str:
    """One of two, the one that sends, and its limit."""
    desk.register("node-1", rate_limit_pps=LIMIT_PPS)
    desk.register("n", rate_limit_pps=LIMIT_PPS)
    return "n"


def hog(desk: Desk, **more: Any) -> Scan:
    return desk.submit(LARGE, ports="80,443", rate_pps=HIGHEST_PPS, name="hog", **more)


def claim(desk: Desk, **more: Any) -> Claim | None:
    return desk.claim("w", "n", node_limit_pps=LIMIT_PPS, **more)


def must_claim(desk: Desk, scan: Scan | None = None, **more: Any) -> Claim:
    claimed = claim(desk, **more)
    assert claimed is not None and (scan is None or claimed.scan.id == scan.id)
    return claimed


@pytest.mark.parametrize("tool", ["nmap", "masscan"])
def test_ten_users_begin_at_once_beside_one_scan_that_holds_all_that_it_may(desk: Desk, tool: str) -> None:
    held = must_claim(desk, hog(desk)).lease.rate_pps
    assert held == LIMIT_PPS - LIMIT_PPS // 16
    users = [Principal(f"user{number}", Role.OPERATOR) for number in range(10)]
    small = [desk.submit(f"10.99.0.{n}", tool=tool, ports="1-1000", by=user) for n, user in enumerate(users)]
    begun = [must_claim(desk) for _ in small]
    assert {one.scan.id for one in begun} == {scan.id for scan in small}
    assert held + sum(one.lease.rate_pps for one in begun) <= LIMIT_PPS


def test_two_scans_of_the_highest_rate_have_half_of_the_node_each_as_soon_as_a_chunk_ends(desk: Desk) -> None:
    first, second = hog(desk, by=ANN), hog(desk, by=BOB)
    desk.complete(must_claim(desk, first))
    shares = [must_claim(desk, second), must_claim(desk, first)]
    assert [one.lease.rate_pps for one in shares] == [LIMIT_PPS // 2, LIMIT_PPS // 2 - LIMIT_PPS // 16]
    assert claim(desk) is None


def test_a_user_with_many_scans_has_no_more_than_a_user_with_one(desk: Desk) -> None:
    for user in [ANN] * 6 + [BOB]:
        hog(desk, by=user)
    held = {ANN.name: 0, BOB.name: 0}
    while (claimed := claim(desk)) is not None:
        held[claimed.scan.created_by] += claimed.lease.rate_pps
    assert held[BOB.name] == LIMIT_PPS // 2
    assert LIMIT_PPS // 4 <= held[ANN.name] <= LIMIT_PPS // 2


def test_where_one_chunk_at_a_time_fits_users_take_turns(desk: Desk) -> None:
    desk.register("n", rate_limit_pps=1)
    hog(desk, by=ANN)
    hog(desk, by=BOB)
    turns = []
    for _ in range(6):
        claimed = must_claim(desk)
        assert claim(desk) is None
        turns.append(claimed.scan.created_by)
        desk.complete(claimed)
    assert turns == ["ann", "bob"] * 3


def test_workers_of_one_scan_each_share_their_node_too(desk: Desk) -> None:
    first, second = hog(desk, by=ANN), hog(desk, by=BOB)
    mine = must_claim(desk, first, only_scan=first.id)
    assert claim(desk, only_scan=second.id) is None
    desk.ask("n", second.id)
    desk.complete(mine)
    assert must_claim(desk, first, only_scan=first.id).lease.rate_pps == LIMIT_PPS // 2
    assert must_claim(desk, second, only_scan=second.id).lease.rate_pps == LIMIT_PPS // 2 - LIMIT_PPS // 16


def test_a_scan_that_is_alone_again_has_all_but_what_is_kept_for_small_ones(desk: Desk) -> None:
    first, second = hog(desk, by=ANN), hog(desk, by=BOB)
    stop_scan(desk.open_ledger, second.id, ADMIN)
    assert must_claim(desk, first).lease.rate_pps == LIMIT_PPS - LIMIT_PPS // 16


def test_a_priority_above_zero_is_an_admins_to_give(desk: Desk) -> None:
    with pytest.raises(Forbidden, match=r"is an admin's to give.*ann has operator.*ask an admin"):
        desk.submit("10.0.0.1", priority=1, by=ANN)
    assert desk.count("scans") == 0
    assert desk.submit("10.0.0.1", priority=-5, by=ANN).priority == -5
    assert desk.submit("10.0.0.1", priority=1000).priority == 1000


@pytest.mark.parametrize("rate_pps", [100, HIGHEST_PPS])
def test_a_scan_is_said_to_wait_for_another_only_where_the_nodes_are_full(desk: Desk, rate_pps: int) -> None:
    other = desk.submit(LARGE, ports="80", rate_pps=rate_pps, by=ANN)
    for node_id in ("n", "node-1"):
        desk.claim(node_id, node_id, node_limit_pps=LIMIT_PPS)
    waits = hog(desk, by=BOB)
    with desk.engine.begin() as connection:
        connection.execute(update(scans).where(scans.c.id == waits.id).values(created_at=LONG_AGO))
    is_said = f"the nodes send for scan {other.id} of ann." in (desk.show(waits).waiting_reason or "")
    assert is_said == (rate_pps == HIGHEST_PPS)
