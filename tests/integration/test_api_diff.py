"""What changed between two scans, through the API."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudx.domain.findings import Finding
from fixtures.servers.api import ApiUnderTest

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNKNOWN = "01a20e75-a13e-7f12-b8d5-b4ecd6cf25ff"
EVIL = '=cmd|"/C calc"!A0'
TARGET = "10.0.0.0/24"


@pytest.fixture
def fleet(api: ApiUnderTest) -> ApiUnderTest:
    api.register()
    return api


def scanned(fleet: ApiUnderTest, *ports: tuple[str, int, str]) -> str:
    """A masscan scan of two ports that is over, with (address, port, state)."""
    scan_id = fleet.submit(target=TARGET, tool="masscan", port="80,443", rate=100_000)
    fleet.complete(scan_id, [Finding(ip, "tcp", port, state, AT, extra={"banner": EVIL}) for ip, port, state in ports])
    return scan_id


@pytest.fixture
def pair(fleet: ApiUnderTest) -> tuple[str, str]:
    """Two scans: one port opened, one closed, one changed, one stayed."""
    before = scanned(fleet, ("10.0.0.1", 80, "open"), ("10.0.0.2", 80, "open"), ("10.0.0.10", 443, "open"))
    after = scanned(fleet, ("10.0.0.1", 80, "open"), ("10.0.0.3", 80, "open"), ("10.0.0.10", 443, "up"))
    return before, after


def test_a_page_has_the_ids_the_counts_and_each_change_with_both_findings(fleet, pair):
    page = fleet.get(f"/api/scans/{pair[0]}/diff/{pair[1]}").json
    assert list(page) == ["from", "to", "summary", "items", "next_cursor"]
    assert (page["from"], page["to"], page["next_cursor"]) == (*pair, None)
    assert page["summary"] == {"opened": 1, "closed": 1, "changed": 1, "unchanged": 1, "not_observed": 0}
    assert [(one["change"], one["ip"], one["protocol"], one["port"]) for one in page["items"]] == [
        ("closed", "10.0.0.2", "tcp", 80), ("opened", "10.0.0.3", "tcp", 80), ("changed", "10.0.0.10", "tcp", 443),
    ]  # fmt: skip
    closed, opened, changed = page["items"]
    assert closed["after"] is None and opened["before"] is None
    assert (changed["before"]["scan_id"], changed["after"]["scan_id"]) == pair
    of_results = fleet.get(f"/api/scans/{pair[0]}/results").json["items"]
    assert closed["before"] == of_results[1] and changed["before"] == of_results[2]


def test_the_link_leads_through_all_pages_and_each_has_the_counts(fleet, pair):
    path: Any = f"/api/scans/{pair[0]}/diff/{pair[1]}?limit=1&change=opened,closed,changed"
    items, summaries = [], []
    while path:
        answer = fleet.get(path)
        assert answer.status_code == 200, answer.text
        items += answer.json["items"]
        summaries.append(answer.json["summary"])
        path = answer.headers["Link"].split(">")[0][1:] if answer.json["next_cursor"] else None
        assert bool(path) == ("Link" in answer.headers)
    assert items == fleet.get(f"/api/scans/{pair[0]}/diff/{pair[1]}").json["items"]
    assert len(items) == len(summaries) == 3 and summaries == [summaries[0]] * 3


def test_a_filter_lists_its_changes_and_counts_all(fleet, pair):
    path = f"/api/scans/{pair[0]}/diff/{pair[1]}"
    whole = fleet.get(path).json
    for change in ("opened", "closed", "changed", "not_observed"):
        page = fleet.get(f"{path}?change={change}").json
        assert page["items"] == [one for one in whole["items"] if one["change"] == change]
        assert page["summary"] == whole["summary"]
        lines = fleet.get(f"{path}?change={change}&format=ndjson").text.splitlines()
        assert [json.loads(line) for line in lines] == page["items"]


def test_the_streams_say_the_same_and_name_their_file(fleet, pair):
    path = f"/api/scans/{pair[0]}/diff/{pair[1]}"
    items = fleet.get(path).json["items"]
    ndjson, table = fleet.get(f"{path}?format=ndjson"), fleet.get(f"{path}?format=csv")
    assert [json.loads(line) for line in ndjson.text.splitlines()] == items
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [(row["change"], row["ip"], int(row["port"])) for row in rows] == [
        (one["change"], one["ip"], one["port"]) for one in items
    ]
    assert (ndjson.mimetype, table.mimetype) == ("application/x-ndjson", "text/csv")
    for answer, ending in ((ndjson, "ndjson"), (table, "csv")):
        assert answer.headers["Content-Disposition"] == f'attachment; filename="diff-{pair[0]}-{pair[1]}.{ending}"'


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_an_unknown_scan_is_404_and_named_wherever_it_stands(fleet, pair, form):
    for ids in ((pair[0], UNKNOWN), (UNKNOWN, pair[0]), ("nonsense", pair[0])):
        answer = fleet.get(f"/api/scans/{ids[0]}/diff/{ids[1]}?format={form}")
        unknown: Any = next(one for one in ids if one != pair[0])
        assert (answer.status_code, answer.json["code"]) == (404, "not_found") and unknown in answer.json["error"]


def test_a_scan_beside_itself_is_unchanged(fleet, pair):
    page = fleet.get(f"/api/scans/{pair[0]}/diff/{pair[0]}").json
    assert page["items"] == []
    assert page["summary"] == {"opened": 0, "closed": 0, "changed": 0, "unchanged": 3, "not_observed": 0}


def test_a_cursor_of_other_scans_is_400(fleet, pair):
    cursor = fleet.get(f"/api/scans/{pair[0]}/diff/{pair[1]}?limit=1").json["next_cursor"]
    answer = fleet.get(f"/api/scans/{pair[1]}/diff/{pair[0]}?cursor={cursor}")
    assert (answer.status_code, answer.json["details"]["field"]) == (400, "cursor")
