"""What changed between two scans, and what nobody can tell: on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from cloudx.domain.diff.changes import LISTED
from cloudx.domain.errors import NotFound
from cloudx.domain.findings import Finding
from cloudx.services.scans.comparison import DiffSummary
from cloudx.services.scans.diff import PageDiff, stream_diff
from fixtures.diffs import NETWORK, changes_of, listed, scanned, summary, up
from fixtures.ledgers import Desk, found


def test_what_opened_closed_and_changed_is_listed_in_order_and_the_rest_counted(desk: Desk) -> None:
    before = scanned(desk, found("10.0.0.1"), found("10.0.0.2"), found("10.0.0.3", state="open"), found("10.0.0.11"))
    after = scanned(desk, found("10.0.0.1"), found("10.0.0.3", state="open|filtered"), found("10.0.0.10"))
    assert listed(desk, before, after) == [
        ("closed", "10.0.0.2", 80, "open > -"),
        ("changed", "10.0.0.3", 80, "open > open|filtered"),
        ("opened", "10.0.0.10", 80, "- > open"),
        ("closed", "10.0.0.11", 80, "open > -"),
    ]
    assert summary(desk, before, after) == DiffSummary(opened=1, closed=2, changed=1, unchanged=1)


def test_in_the_other_order_opened_and_closed_change_places(desk: Desk) -> None:
    before = scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    after = scanned(desk, found("10.0.0.2"), found("10.0.0.3"))
    assert changes_of(desk, before, after) == {("10.0.0.1", 80): "closed", ("10.0.0.3", 80): "opened"}
    assert changes_of(desk, after, before) == {("10.0.0.1", 80): "opened", ("10.0.0.3", 80): "closed"}


def test_a_scan_beside_itself_is_all_unchanged(desk: Desk) -> None:
    scan = scanned(desk, found("10.0.0.1"), found("10.0.0.2"))
    assert listed(desk, scan, scan) == []
    assert summary(desk, scan, scan) == DiffSummary(unchanged=2)


def test_an_unknown_scan_is_named(desk: Desk) -> None:
    scan, nowhere = scanned(desk), "00000000-0000-7000-8000-000000000001"
    for ids in ((scan.id, nowhere), (nowhere, scan.id), (scan.id, "no-id")):
        unknown = next(one for one in ids if one != scan.id)
        with pytest.raises(NotFound, match=unknown):
            PageDiff(desk.open_ledger)(*ids, LISTED, None, 10)
        with pytest.raises(NotFound, match=unknown):
            stream_diff(desk.open_ledger, *ids, LISTED)


@pytest.mark.parametrize("request_of_the_second", [
    {"targets": "10.0.0.8/29"},  # another address
    {"ports": "81-90"},  # another port
    {"scan_type": "udp_scan"},  # another protocol
    {"scan_type": "ping_scan", "ports": None},
    {"tool": "zmap", "scan_type": "icmp_echo", "ports": None},
    {"tool": "nmap", "scan_type": "udp", "ports": "80"},
    {"exclude": ("10.0.0.1",)},
])  # fmt: skip
def test_what_the_second_scan_did_not_ask_for_is_not_observed(desk: Desk, request_of_the_second: Any) -> None:
    before = scanned(desk, found("10.0.0.1"))
    after = scanned(desk, **({"targets": NETWORK} | request_of_the_second))
    assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed"}
    assert summary(desk, before, after) == DiffSummary(not_observed=1)


@pytest.mark.parametrize(("finding", "request_of_both"), [
    (found("10.0.0.1", 53, "udp"), {"scan_type": "udp_scan", "ports": "53"}),
    (found("10.0.0.1", 0, "icmp", state="up"), {"scan_type": "ping_scan", "ports": None}),
    (found("10.0.0.1", 0, "icmp", state="up"), {"tool": "zmap", "scan_type": "icmp_echo", "ports": None}),
    (found("10.0.0.1", 80), {"tool": "zmap", "scan_type": "tcp_syn", "ports": "80"}),
    (found("10.0.0.1", 90), {"ports": "1-20,80-100"}),
])  # fmt: skip
def test_what_the_second_scan_probed_again_and_does_not_have_is_closed(
    desk: Desk, finding: Finding, request_of_both: Any
) -> None:
    before, after = scanned(desk, finding, **request_of_both), scanned(desk, **request_of_both)
    assert changes_of(desk, before, after) == {("10.0.0.1", finding.port): "closed"}


def test_one_tool_closes_what_another_had_found_where_it_sent_the_same_probe(desk: Desk) -> None:
    by_masscan, by_zmap = scanned(desk, found("10.0.0.1")), scanned(desk, tool="zmap", ports="80")
    by_nmap = scanned(desk, up("10.0.0.1"), tool="nmap", ports="22,80")
    assert changes_of(desk, by_masscan, by_zmap) == {("10.0.0.1", 80): "closed"}
    assert changes_of(desk, by_masscan, by_nmap) == {("10.0.0.1", 80): "closed"}


def test_a_banner_that_no_database_reads_as_json_is_compared_all_the_same(desk: Desk) -> None:
    asking: Any = {"tool": "nmap", "scan_type": "intense"}
    scans = [
        scanned(desk, up("10.0.0.1"), found("10.0.0.1", extra={"product": product}), **asking)
        for product in ("a\0b", "a\0b", "a\0c")
    ]
    assert summary(desk, scans[0], scans[1]) == DiffSummary(unchanged=1)
    assert summary(desk, scans[0], scans[2]) == DiffSummary(changed=1)
