"""The search over all scans knows what a second stage found in the place of the first's, and what it found shut."""

from __future__ import annotations

from typing import Any

from cloudx.services.ledger.sightings import Query
from cloudx.services.scans.second_stage import Then
from cloudx.services.search.find import FindFindings
from cloudx.services.search.take_in import TakeIn
from fixtures.ledgers import SEEN_AT, Desk, found


def search(desk: Desk, **query: Any) -> list[tuple[str, int, str, str | None]]:
    take_in = TakeIn(desk.open_ledger)
    take_in()
    page = FindFindings(desk.open_ledger, take_in).page(Query(**query), None, 100)
    return sorted((row.finding.ip, row.finding.port, row.finding.state, row.finding.service) for row in page.rows)


def test_the_latest_of_a_port_is_nmaps_word_and_what_it_finds_closed_is_gone(desk: Desk) -> None:
    scan = desk.submit("10.0.0.0/30", ports="22,80", then=Then("nmap", "intense"))
    first = desk.must_claim()
    desk.complete(first, found("10.0.0.1", 22), found("10.0.0.1", 80), found("10.0.0.2", 22))
    assert search(desk) == [
        ("10.0.0.1", 22, "open", None),
        ("10.0.0.1", 80, "open", None),
        ("10.0.0.2", 22, "open", None),
    ]
    later = SEEN_AT.replace(year=2027)
    while claim := desk.claim():
        if claim.addresses.texts() == ["10.0.0.1"]:
            closed = found("10.0.0.1", 80, state="closed", observed_at=later)
            desk.complete(claim, found("10.0.0.1", 22, service="ssh", observed_at=later), closed)
        else:
            desk.complete(claim)
    assert search(desk) == [("10.0.0.1", 22, "open", "ssh"), ("10.0.0.2", 22, "open", None)]
    assert search(desk, service="ssh") == [("10.0.0.1", 22, "open", "ssh")]
    assert ("10.0.0.1", 80, "closed", None) in search(desk, latest=False)
    assert desk.show(scan).scan.status == "completed"
