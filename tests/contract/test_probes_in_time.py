"""Who probed an address then: the window, long attempts, many scans, bounds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import update

from cloudx.adapters.database.schema.tables import attempts, scans
from cloudx.domain.access import Principal, Role
from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.errors import InvalidInput
from cloudx.services.chunks.claim import Claim
from cloudx.services.scans import find_probes
from cloudx.services.scans.control import delete_scan
from fixtures.ledgers import ADMIN, LONG_AGO, Desk
from fixtures.probes import first_of, last_of, now_of, outcomes, probes, put_back

BOB = Principal("bob", Role.OPERATOR)
DAY = timedelta(days=1)


def test_only_what_went_on_in_the_window_is_listed(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    put_back(desk, scan, DAY)
    sending = probes(desk, "10.0.0.1", now_of(desk) - DAY)[0].attempt.sending
    assert sending.ended_at is not None
    assert probes(desk, "10.0.0.1") == ()
    second = timedelta(seconds=1)
    start, end = sending.started_at, sending.ended_at
    for at, count in ((start, 1), (start - second, 0), (end, 1), (end + second, 0)):
        assert len(probes(desk, "10.0.0.1", at, 0)) == count, at
    assert len(probes(desk, "10.0.0.1", sending.started_at - 10 * second, 10)) == 1
    assert len(probes(desk, "10.0.0.1", sending.ended_at + 10 * second, 9)) == 0


def test_a_long_attempt_is_found_at_any_moment_of_it(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    claim = desk.must_claim()
    desk.age(claim, held_seconds=7200, sent_share=0.5)
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(started_at=now_of(desk) - timedelta(hours=3)))
    desk.complete(claim)
    an_hour_ago = now_of(desk) - timedelta(hours=1)
    (probe,) = probes(desk, "10.0.0.1", an_hour_ago, 0)
    assert probe.attempt.scan_id == scan.id


@pytest.mark.parametrize(("outcome", "seconds"), [("lost", LEASE_SECONDS), ("recut", LEASE_SECONDS), ("done", 0.0)])
def test_a_worker_that_the_ledger_gave_up_may_have_sent_until_it_heard_of_it(
    desk: Desk, outcome: str, seconds: float
) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    with desk.engine.begin() as connection:
        connection.execute(update(attempts).values(outcome=outcome))
    ended_at = probes(desk, "10.0.0.1")[0].attempt.sending.ended_at
    assert ended_at is not None
    told = timedelta(seconds=seconds)
    assert len(probes(desk, "10.0.0.1", ended_at + told, 0)) == 1
    assert len(probes(desk, "10.0.0.1", ended_at + told + timedelta(milliseconds=10), 0)) == 0


def test_of_several_scans_each_attempt_stands_once_in_order_of_start(desk: Desk) -> None:
    ids = []
    for number in range(120):  # more than are looked up at once
        scan = desk.submit("10.0.0.0/30", "10.9.0.1", rate_pps=1000, by=BOB if number % 2 else ADMIN)
        desk.run_to_end(scan, f"w{number % 3}")
        ids.append(scan.id)
    desk.run_to_end(desk.submit("10.0.0.4/30"))
    found = probes(desk, "10.0.0.3")
    assert [probe.attempt.scan_id for probe in found] == ids
    starts = [probe.attempt.sending.started_at for probe in found]
    assert starts == sorted(starts)


def test_deleted_scans_are_not_known_any_more(desk: Desk) -> None:
    scan = desk.submit("10.0.0.1")
    desk.run_to_end(scan)
    delete_scan(desk.open_ledger, scan.id, ADMIN)
    assert probes(desk, "10.0.0.1") == ()


@pytest.mark.parametrize("seconds", [-1, 86_401, 10**12])
def test_a_window_is_bounded(desk: Desk, seconds: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        probes(desk, "10.0.0.1", None, seconds)
    assert refused.value.field == "window"


def test_more_attempts_than_an_answer_holds_are_refused_and_never_cut_short(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        desk.run_to_end(desk.submit("10.0.0.1"), f"w{number}")
    monkeypatch.setattr(find_probes, "MAX_PROBES", 4)
    assert len(probes(desk, "10.0.0.1")) == 4
    monkeypatch.setattr(find_probes, "MAX_PROBES", 3)
    with pytest.raises(InvalidInput, match="Ask for a shorter one") as refused:
        probes(desk, "10.0.0.1")
    assert refused.value.field == "window"


def test_the_same_addresses_are_found_however_large_the_scan_and_however_its_targets_lie(desk: Desk) -> None:
    scan = desk.submit(*(f"10.{second}.{third}.0/30" for second in range(4) for third in range(200)), rate_pps=5)
    claims = desk.run_to_end(scan)
    assert len(claims) > 20
    covered = AddressSet.of(part for claim in claims for part in claim.addresses.ranges)
    assert covered == scan.addresses
    for claim in _some(claims):
        for ip in (first_of(claim), last_of(claim)):
            (probe,) = probes(desk, ip)
            assert probe.attempt.sending.outcome == "done"


def test_a_scan_that_an_older_version_planned_is_searched_whole(desk: Desk) -> None:
    claims = desk.run_to_end(desk.submit("10.0.0.0/24", rate_pps=2))
    with desk.engine.begin() as connection:
        connection.execute(update(scans).values(widest_chunk=0))
    assert len(claims) > 2
    for claim in claims:
        assert outcomes(desk, first_of(claim)) == outcomes(desk, last_of(claim)) == ["done"]


def _some(claims: Iterable[Claim]) -> list[Claim]:
    return list(claims)[::7]


def test_a_time_before_any_scan_finds_nothing(desk: Desk) -> None:
    desk.run_to_end(desk.submit("10.0.0.1"))
    assert probes(desk, "10.0.0.1", LONG_AGO) == ()
