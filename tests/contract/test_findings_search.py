"""What is open now, over all scans: the newest of each port, closed only where it was probed again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from cloudx.adapters.database.schema.tables import scans
from cloudx.domain.retention import Retention
from cloudx.domain.scans import Scan
from cloudx.services.ledger.sightings import Query
from cloudx.services.scans.control import delete_scan
from cloudx.services.scans.prune import PruneLedger
from cloudx.services.search.find import FindFindings
from cloudx.services.search.take_in import TakeIn
from fixtures.diffs import scanned
from fixtures.ledgers import ADMIN, LONG_AGO, Desk, found

Listed = list[tuple[str, int, str]]


def search(desk: Desk, **query: Any) -> Listed:
    """(address, port, scan), newest first."""
    finding = FindFindings(desk.open_ledger, TakeIn(desk.open_ledger))
    page = finding.page(Query(**query), None, 1000)
    return [(row.finding.ip, row.finding.port, row.finding.scan_id) for row in page.rows]


def owners(desk: Desk, **query: Any) -> dict[tuple[str, int], str]:
    """Which scan's finding is the latest of each port."""
    listed = search(desk, **query)
    assert len({one[:2] for one in listed}) == len(listed), "a port comes twice"
    return {(ip, port): scan_id for ip, port, scan_id in listed}


def remove(desk: Desk, scan: Scan) -> None:
    delete_scan(desk.open_ledger, scan.id, ADMIN)


def test_each_port_is_as_the_newest_scan_found_it(desk: Desk) -> None:
    first = scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    assert owners(desk) == {("10.0.0.1", 80): first.id, ("10.0.0.2", 80): first.id}
    second = scanned(desk, found("10.0.0.1"), targets="10.0.0.0/31")
    assert owners(desk) == {("10.0.0.1", 80): second.id, ("10.0.0.2", 80): first.id}
    assert len(search(desk, latest=False)) == 3


def test_a_port_that_was_probed_again_and_not_found_is_gone_and_another_is_not(desk: Desk) -> None:
    scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    second = scanned(desk, found("10.0.0.1"))
    assert owners(desk) == {("10.0.0.1", 80): second.id}
    scanned(desk, targets="10.0.0.2-10.0.0.9")
    scanned(desk, ports="81-90")
    assert owners(desk) == {("10.0.0.1", 80): second.id}


def test_what_a_deleted_scan_had_found_or_closed_is_as_the_others_have_it(desk: Desk) -> None:
    first = scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    second = scanned(desk, found("10.0.0.1"))
    assert owners(desk) == {("10.0.0.1", 80): second.id}
    remove(desk, second)
    assert owners(desk) == {("10.0.0.1", 80): first.id, ("10.0.0.2", 80): first.id}
    remove(desk, first)
    assert search(desk) == search(desk, latest=False) == []


def test_what_another_scan_proves_closed_stays_closed_when_one_that_did_is_deleted(desk: Desk) -> None:
    scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    closers = [scanned(desk, found("10.0.0.2")), scanned(desk, targets="10.0.0.1")]
    for closer in closers:
        assert set(owners(desk)) == {("10.0.0.2", 80)}
        remove(desk, closer)
    assert set(owners(desk)) == {("10.0.0.1", 80), ("10.0.0.2", 80)}


def test_what_was_pruned_is_neither_found_nor_in_the_way(desk: Desk) -> None:
    old = scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    newer = scanned(desk, found("10.0.0.1"))
    assert set(owners(desk)) == {("10.0.0.1", 80)}
    with desk.engine.begin() as connection:
        connection.execute(update(scans).where(scans.c.id == old.id).values(finished_at=LONG_AGO))
    assert PruneLedger(desk.open_ledger, Retention(scans_days=30))().scans == 1
    assert owners(desk, latest=False) == owners(desk) == {("10.0.0.1", 80): newer.id}
