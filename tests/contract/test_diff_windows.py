"""A diff is the same by windows and pages of any size, and adds up for any two scans."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from cloudx.adapters.database.schema.tables import chunks
from cloudx.domain.diff.changes import LISTED, Change
from cloudx.domain.errors import NotFound
from cloudx.domain.findings import AnyFinding, Finding
from cloudx.domain.scans import Scan
from cloudx.services.scans import comparison
from cloudx.services.scans.comparison import DiffSummary
from cloudx.services.scans.control import delete_scan
from cloudx.services.scans.diff import PageDiff, stream_diff
from fixtures.diffs import NETWORK, changes_of, listed, scanned, states_of, summary, up
from fixtures.ledgers import ADMIN, Desk, found


@pytest.mark.parametrize("window_rows", [1, 2, 3, 1000])
def test_windows_of_any_size_and_pages_of_any_size_list_the_same(
    desk: Desk, window_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(window_rows)
    before, after = (scanned(desk, *(_some(chance)), tool="nmap", targets=f"{NETWORK} fd00::/124") for _ in range(2))
    wanted = listed(desk, before, after)
    monkeypatch.setattr(comparison, "WINDOW_ROWS", window_rows)
    assert listed(desk, before, after) == wanted
    page_diff = PageDiff(desk.open_ledger)
    for limit in (1, 4, 100):
        items: list[comparison.DiffItem] = []
        page = page_diff(before.id, after.id, LISTED, None, limit)
        items += page.items
        while page.following is not None:
            page = page_diff(before.id, after.id, LISTED, page.following, limit, page.summary)
            assert 0 < len(page.items) <= limit
            items += page.items
        assert [(item.change.value, *item.key[::2], states_of(item)) for item in items] == wanted


def _some(chance: random.Random) -> Iterator[AnyFinding]:
    ips = [f"10.0.0.{last}" for last in range(16)] + [f"fd00::{last:x}" for last in range(16)]
    for ip in chance.sample(ips, 24):
        yield up(ip)
        for port in chance.sample([22, 80, 443], 2):
            yield found(ip, port, state=chance.choice(["open", "open|filtered"]))


@pytest.mark.parametrize("change", sorted(LISTED))
def test_a_filter_leaves_the_others_out_and_the_summary_whole(desk: Desk, change: Change) -> None:
    before = scanned(desk, *(found(f"10.0.0.{last}") for last in (1, 2, 3)), found("10.1.0.1"), targets="10.0.0.0/15")
    after = scanned(desk, found("10.0.0.2", state="up"), found("10.0.0.3"), found("10.0.0.4"))
    assert {one[0] for one in listed(desk, before, after, {change})} == {change}
    whole = PageDiff(desk.open_ledger)(before.id, after.id, {change}, None, 10).summary
    assert whole == DiffSummary(opened=1, closed=1, changed=1, unchanged=1, not_observed=1)


def test_a_later_page_counts_nothing_again_and_shows_the_summary_that_it_was_given(desk: Desk) -> None:
    before, after = scanned(desk, found("10.0.0.1"), found("10.0.0.2")), scanned(desk)
    given_one = DiffSummary(closed=77)
    page = PageDiff(desk.open_ledger)(before.id, after.id, LISTED, ("10.0.0.1", "tcp", 80), 10, given_one)
    assert (page.summary, [item.key[0] for item in page.items]) == (given_one, ["10.0.0.2"])


def test_the_summary_of_scans_that_are_over_is_kept_and_that_of_one_that_runs_is_not(desk: Desk) -> None:
    before, runs = scanned(desk, found("10.0.0.1")), desk.submit(NETWORK)
    page_diff, claim = PageDiff(desk.open_ledger), desk.must_claim(only_scan=runs.id)
    assert page_diff(before.id, runs.id, LISTED, None, 10).summary == DiffSummary(not_observed=1)
    desk.complete(claim)
    for _ in range(2):
        assert page_diff(before.id, runs.id, LISTED, None, 10).summary == DiffSummary(closed=1)
    assert page_diff(runs.id, before.id, LISTED, None, 10).summary == DiffSummary(opened=1)


def test_a_scan_that_is_deleted_midway_ends_the_stream_with_an_error_and_closes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "WINDOW_ROWS", 2)
    findings = [found(f"10.0.0.{last}") for last in range(16)]
    before, after = scanned(desk, *findings), scanned(desk, found("10.0.0.1"), *findings[2:])
    items = stream_diff(desk.open_ledger, before.id, after.id, LISTED)[1]
    assert next(items).key[0] == "10.0.0.0"
    delete_scan(desk.open_ledger, after.id, ADMIN)
    listed_until_then = []
    with pytest.raises(NotFound, match=after.id):
        listed_until_then += list(items)
    assert listed_until_then == []


def test_a_scan_whose_removal_has_begun_closes_nothing(desk: Desk) -> None:
    before, after = scanned(desk, found("10.0.0.1")), scanned(desk, found("10.0.0.1"))
    with desk.open_ledger() as ledger:
        assert ledger.old_records.remove_rows_of(after.id, 1) == 1
        ledger.commit()
    with pytest.raises(NotFound, match=after.id):
        PageDiff(desk.open_ledger)(before.id, after.id, LISTED, None, 10)


STATES = st.sampled_from(["open", "open|filtered"])
KEYS = st.tuples(st.integers(0, 15), st.sampled_from([22, 80, 443]))
FOUND = st.dictionaries(KEYS, STATES, max_size=20)


@given(first=FOUND, second=FOUND, gaps=st.sets(st.integers(0, 15)))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_two_scans_add_up_and_closed_is_exactly_what_was_probed_again(
    desk: Desk, first: dict[Any, str], second: dict[Any, str], gaps: set[int]
) -> None:
    desk.register("node-1")  # the examples take longer than a silent node counts as online
    asked: Any = {"tool": "nmap", "ports": "22,80,443"}
    before, after = (
        scanned(desk, *(up(f"10.0.0.{last}") for last in range(16)), *_findings(ports), **asked)
        for ports in (first, second)
    )
    _split_by_host(desk, after, gaps)
    changes = {
        (int(ip.rpartition(".")[2]), port): change for (ip, port), change in changes_of(desk, before, after).items()
    }
    assert changes == {
        key: change
        for key in first.keys() | second.keys()
        if (change := _expected(key, first, second, gaps)) is not None
    }
    counted = summary(desk, before, after)
    assert sum(astuple(counted)) == len(first.keys() | second.keys())


def _expected(key: Any, first: dict[Any, str], second: dict[Any, str], gaps: set[int]) -> str | None:
    if key not in first:
        return "opened"
    if key not in second:
        return "not_observed" if key[0] in gaps else "closed"
    return "changed" if first[key] != second[key] else None


def _findings(ports: dict[Any, str]) -> Iterator[Finding]:
    return (found(f"10.0.0.{last}", port, state=state) for (last, port), state in ports.items())


def _split_by_host(desk: Desk, scan: Scan, gaps: set[int]) -> None:
    """Let the scan have had a chunk for each host, and those in `gaps` have failed."""
    (row,) = desk.chunk_rows(scan)
    with desk.engine.begin() as connection:
        connection.execute(delete(chunks).where(chunks.c.scan_id == scan.id))
        for number in range(16):
            state = "failed" if number in gaps else "done"
            own = {"number": number, "address_start": number, "address_count": 1, "state": state}
            connection.execute(chunks.insert().values(**{**row, **own}))
