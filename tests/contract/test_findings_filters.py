"""Whatever is asked for, the search finds what a look at every finding finds, along every way that leads there."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from cloudx.adapters.database.search import finding as search
from cloudx.adapters.database.search import ways
from cloudx.domain.findings import Finding
from cloudx.services.ledger.records import FindingRow
from cloudx.services.ledger.sightings import Place, Query
from cloudx.services.search.take_in import TakeIn
from fixtures.diffs import scanned
from fixtures.ledgers import SEEN_AT, Desk

PAIRS = 50  # of 300
NAMES = ("www.example.com", "Gate.Example.COM", "db_1.site", "100%.site")


def some_findings(seed: int) -> list[Finding]:
    """Of addresses of both versions, with and without names, services and products."""
    choose = random.Random(seed)
    found: dict[tuple[str, int], Finding] = {}
    for _ in range(150):
        ip = choose.choice(("10.0.0.{}", "10.0.1.{}", "10.7.0.{}", "fd00::{:x}", "fd00:1::{:x}")).format(
            choose.randrange(1, 30)
        )
        port, service, product = choose.choice(
            [(80, "http", "nginx"), (8080, "http", "Apache \\ httpd"), (22, "ssh", 'Open"SSH'), (53, None, None)]
        )
        at, name = SEEN_AT + timedelta(seconds=choose.randrange(20)), choose.choice((None, *NAMES))
        extra = {"reason": "syn-ack"} | ({"product": product} if product else {})
        found[ip, port] = Finding(ip, "tcp", port, "open", at, service, name, extra)
    return list(found.values())


@pytest.fixture
def full(desk: Desk) -> Desk:
    """A ledger with what three scans found."""
    targets = "10.0.0.0/27 10.0.1.0/27 10.7.0.0/27 fd00::/123 fd00:1::/123"
    for seed in range(3):
        scanned(desk, *some_findings(seed), targets=targets, tool="nmap", ports="22,53,80,8080")
    assert TakeIn(desk.open_ledger, window_rows=40)()
    return desk


def all_rows(desk: Desk) -> list[FindingRow]:
    with desk.open_ledger(read_only=True) as ledger:
        return [row for scan in ledger.scans.page(limit=10) for row in ledger.findings.page(scan.scan.id, None, 10_000)]


def latest_of(rows: list[FindingRow]) -> list[FindingRow]:
    """The newest of each port: nmap found no host up, so no scan closes anything."""
    return list({row.key: row for row in sorted(rows, key=lambda row: row.scan_id)}.values())


def fits(row: FindingRow, query: Query) -> bool:
    """As the API describes each filter."""
    parts = ((query.service, row.service), (query.product, row.extra.get("product")), (query.hostname, row.hostname))
    return (
        all(ipaddress.ip_address(row.ip) in network for network in query.networks)
        and (not query.ports or any(first <= row.port <= last for first, last in query.ports))
        and query.protocol in (None, row.protocol)
        and all(part is None or part.lower() in (text or "").lower() for part, text in parts)
        and query.scan_id in (None, row.scan_id)
        and (query.since is None or row.observed_at >= query.since)
        and (query.until is None or row.observed_at <= query.until)
    )


def found(desk: Desk, query: Query, limit: int = 50) -> list[FindingRow]:
    """All pages of a query."""
    rows: list[FindingRow] = []
    after: Place | None = None
    with desk.open_ledger(read_only=True) as ledger:
        while True:
            page = ledger.sightings.page(query, after, limit)
            rows += [row.finding for row in page.rows]
            if page.following is None:
                return rows
            after = page.following


def network(text: str) -> tuple[Any, ...]:
    return (ipaddress.ip_network(text),)


def filters(desk: Desk) -> Iterator[dict[str, Any]]:
    scan_ids = sorted({row.scan_id for row in all_rows(desk)})
    yield from ({"networks": network(one)} for one in ("10.0.0.7", "10.0.0.0/28", "10.0.0.0/8", "fd00::/32", "::/0"))
    yield from ({"ports": one} for one in (((80, 80),), ((1, 1024),), ((9, 9), (8080, 8080))))
    yield from ({"protocol": one} for one in ("tcp", "udp"))
    yield from ({"service": one} for one in ("HT", "ssh", "%", "_"))
    yield from ({"product": one} for one in ("NGINX", "\\", '"', "httpd"))
    yield from ({"hostname": one} for one in ("example", "GATE", "_1", "0%", "nowhere"))
    yield from ({"scan_id": one} for one in (scan_ids[0], scan_ids[-1]))
    yield {"since": SEEN_AT + timedelta(seconds=10)}
    yield {"until": SEEN_AT + timedelta(seconds=10)}


@pytest.mark.parametrize("budget", [1, 400], ids=["every way", "as it is"])
def test_each_filter_alone_and_each_pair_finds_what_a_look_at_everything_finds(
    full: Desk, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if budget == 1:
        monkeypatch.setattr(search, "FIRST_ROWS", 1)
        monkeypatch.setattr(search, "ROWS_OF_A_PAGE", 0)
        monkeypatch.setattr(search, "MORE", 2)
        monkeypatch.setattr(ways, "FEW_ROWS", 3)
        monkeypatch.setattr(ways, "STREAMED_HOSTNAMES", 1)
    rows = all_rows(full)
    latest, asked = latest_of(rows), list(filters(full))
    pairs = [one | other for one, other in combinations(asked, 2) if not set(one) & set(other)]
    for number, values in enumerate([{}, *asked, *random.Random(budget).sample(pairs, PAIRS)]):
        query = Query(latest=number % 3 > 0, **values)
        expected = [row for row in (latest if query.latest else rows) if fits(row, query)]
        answer = found(full, query)
        assert sorted(row.key for row in answer) == sorted(row.key for row in expected), query
        times = [row.observed_at for row in answer]
        assert times == sorted(times, reverse=True), query


def test_what_a_page_shows_is_what_the_results_of_the_scan_show(full: Desk) -> None:
    by_scan = {(row.scan_id, row.key): row for row in all_rows(full)}
    answer = found(full, Query(latest=False))
    assert len(answer) == len(by_scan)
    assert all(by_scan[row.scan_id, row.key] == row for row in answer)
