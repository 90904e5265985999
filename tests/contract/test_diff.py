"""What changed between two scans, and what nobody can tell: on SQLite and on PostgreSQL."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Collection, Iterator
from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from cloudx.adapters.database.schema.tables import chunks
from cloudx.domain.diff.changes import LISTED, Change
from cloudx.domain.errors import NotFound
from cloudx.domain.findings import AnyFinding, Finding, HostFinding
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.domain.scans import Scan
from cloudx.services.chunks.finish import RunOutput, fail_chunk, keep_stopped_chunk
from cloudx.services.scans import comparison
from cloudx.services.scans.comparison import DiffSummary
from cloudx.services.scans.control import delete_scan, stop_scan
from cloudx.services.scans.diff import PageDiff, stream_diff
from fixtures.ledgers import ADMIN, SEEN_AT, Desk, found

NETWORK = "10.0.0.0/28"
Listed = list[tuple[str, str, int, str]]


def up(ip: str) -> HostFinding:
    return HostFinding(ip, "up", SEEN_AT)


def scanned(desk: Desk, *findings: AnyFinding, targets: str = NETWORK, **request: Any) -> Scan:
    """A scan that is over, with what it found."""
    scan = desk.submit(*targets.split(), **request)
    left = list(findings)
    while claim := desk.claim(only_scan=scan.id):
        mine = [one for one in left if ipaddress.ip_address(one.ip) in claim.addresses]
        left = [one for one in left if one not in mine]
        desk.complete(claim, *mine)
    assert not left, "no chunk has these addresses"
    return scan


def listed(desk: Desk, before: Scan, after: Scan, changes: Collection[Change] = LISTED) -> Listed:
    """Every change, as a stream gives it, after it was held against the pages and against the summary."""
    items = list(stream_diff(desk.open_ledger, before.id, after.id, changes)[1])
    page = PageDiff(desk.open_ledger)(before.id, after.id, changes, None, 10_000)
    assert page.items == items and page.following is None
    for change in changes:
        assert sum(item.change is change for item in items) == page.summary.count_of([change])
    return [(item.change.value, *item.key[::2], _states(item)) for item in items]


def _states(item: comparison.DiffItem) -> str:
    return f"{item.before.state if item.before else '-'} > {item.after.state if item.after else '-'}"


def changes_of(desk: Desk, before: Scan, after: Scan) -> dict[tuple[str, int], str]:
    return {(ip, port): change for change, ip, port, _ in listed(desk, before, after)}


def summary(desk: Desk, before: Scan, after: Scan) -> DiffSummary:
    return PageDiff(desk.open_ledger)(before.id, after.id, LISTED, None, 1).summary


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


class TestChunks:
    """A chunk that is not done, or not whole, proves nothing of its ports."""

    @pytest.fixture
    def before(self, desk: Desk) -> Scan:
        return scanned(desk, found("10.0.0.1"), found("10.0.0.2"))

    def test_of_a_scan_that_has_not_begun_nothing_is_closed(self, desk: Desk, before: Scan) -> None:
        assert set(changes_of(desk, before, desk.submit(NETWORK)).values()) == {"not_observed"}

    def test_a_stopped_scan_closes_what_its_finished_chunks_cover(self, desk: Desk) -> None:
        before = scanned(desk, *(found("10.0.0.1", port) for port in range(1, 81)), ports="1-80")
        after = desk.submit("10.0.0.1", rate_pps=1, ports="1-80")  # a chunk is fifteen ports
        claim = desk.must_claim(only_scan=after.id)
        desk.complete(claim)
        assert claim.ports is not None
        probed = {port for first, last in claim.ports.ranges for port in range(first, last + 1)}
        stop_scan(desk.open_ledger, after.id, ADMIN)
        closed = {port for (_, port), change in changes_of(desk, before, after).items() if change == "closed"}
        assert closed == probed and 0 < len(closed) < 80

    def test_what_a_stopped_run_had_found_counts_and_what_it_had_not_is_not_observed(
        self, desk: Desk, before: Scan
    ) -> None:
        after = desk.submit(NETWORK)
        claim = desk.must_claim(only_scan=after.id)
        stop_scan(desk.open_ledger, after.id, ADMIN)
        assert keep_stopped_chunk(desk.open_ledger, claim, RunOutput([found("10.0.0.2")]), 0.5) == 1
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed"}
        assert summary(desk, before, after) == DiffSummary(unchanged=1, not_observed=1)

    def test_a_chunk_that_failed_closes_nothing(self, desk: Desk, before: Scan) -> None:
        after = desk.submit(NETWORK)
        while claim := desk.claim(only_scan=after.id):
            fail_chunk(desk.open_ledger, claim, "the link is down")
            desk.end_back_off(after)
        assert set(changes_of(desk, before, after).values()) == {"not_observed"}

    def test_a_chunk_of_which_a_part_was_excluded_later_closes_nothing(self, desk: Desk, before: Scan) -> None:
        after = desk.submit(NETWORK)
        desk.exclude("10.0.0.1")
        desk.run_to_end(after)
        assert changes_of(desk, before, after)[("10.0.0.1", 80)] == "not_observed"

    def test_a_chunk_of_which_a_part_was_not_probed_closes_nothing(self, desk: Desk, before: Scan) -> None:
        after = desk.submit(NETWORK, tool="nmap", ports="80")
        desk.complete_without(desk.must_claim(only_scan=after.id), "10.0.0.1", "gave it up", timed_out=1)
        assert set(changes_of(desk, before, after).values()) == {"not_observed"}


class TestNmap:
    """It probes no port of a host that it does not find up, and chooses ports itself where none are named."""

    def test_a_host_that_was_down_the_second_time_is_not_observed(self, desk: Desk) -> None:
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), up("10.0.0.2"), found("10.0.0.2"), tool="nmap")
        after = scanned(desk, up("10.0.0.2"), tool="nmap")
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed", ("10.0.0.2", 80): "closed"}
        assert summary(desk, before, after) == DiffSummary(closed=1, not_observed=1)

    @pytest.mark.parametrize(("first", "second", "change"), [
        ({"scan_type": "default"}, {"scan_type": "default"}, "closed"),
        ({"scan_type": "quick"}, {"scan_type": "default"}, "closed"),  # the 100 of the 1,000 most common
        ({"scan_type": "default"}, {"scan_type": "quick"}, "not_observed"),
        ({"scan_type": "default"}, {"scan_type": "full"}, "closed"),
        ({"scan_type": "default"}, {"scan_type": "default", "ports": "1-100"}, "closed"),
        ({"scan_type": "default"}, {"scan_type": "default", "ports": "T:1-79,U:80"}, "not_observed"),
        ({"scan_type": "default", "ports": "80"}, {"scan_type": "default"}, "not_observed"),  # is 80 of its choice?
        ({"scan_type": "default", "ports": "80"}, {"scan_type": "full"}, "closed"),
    ])  # fmt: skip
    def test_its_own_choice_of_ports_is_known_from_a_scan_that_left_it_the_choice_too(
        self, desk: Desk, first: Any, second: Any, change: str
    ) -> None:
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), tool="nmap", **first)
        after = scanned(desk, up("10.0.0.1"), tool="nmap", **second)
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): change}

    def test_udp_ports_beside_tcp_ports_are_closed_by_a_scan_of_both(self, desk: Desk) -> None:
        ports: Any = {"tool": "nmap", "ports": "T:80,U:53"}
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), found("10.0.0.1", 53, "udp"), **ports)
        assert set(changes_of(desk, before, scanned(desk, up("10.0.0.1"), **ports)).values()) == {"closed"}

    def test_hosts_whose_ports_were_cut_close_nothing(self, desk: Desk) -> None:
        slow: Any = {"tool": "nmap", "ports": "1-65535", "rate_pps": 20, "targets": "10.0.0.1"}
        before = scanned(desk, up("10.0.0.1"), found("10.0.0.1"), tool="nmap")
        after = scanned(desk, up("10.0.0.1"), **slow)
        assert after.splits_ports
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "not_observed"}

    def test_silence_is_no_news_to_a_tool_that_reports_none(self, desk: Desk) -> None:
        silent = found("10.0.0.1", 53, "udp", state="open|filtered")
        before = scanned(desk, up("10.0.0.1"), silent, tool="nmap", scan_type="udp", ports="53")
        after = scanned(desk, scan_type="udp_scan", ports="53")
        assert changes_of(desk, before, after) == {("10.0.0.1", 53): "not_observed"}

    @pytest.mark.parametrize("changed", [{"service": "ssh"}, {"product": "lighttpd"}, {"version": "2"}])
    def test_another_service_product_or_version_is_a_change_if_both_scans_asked(self, desk: Desk, changed: Any) -> None:
        asking: Any = {"tool": "nmap", "scan_type": "intense"}
        before, same = (scanned(desk, up("10.0.0.1"), self.served(), **asking) for _ in range(2))
        after = scanned(desk, up("10.0.0.1"), self.served(**changed), **asking)
        assert listed(desk, before, same) == []
        assert changes_of(desk, before, after) == {("10.0.0.1", 80): "changed"}
        assert summary(desk, before, after) == DiffSummary(changed=1)

    def test_what_else_a_script_says_is_no_change(self, desk: Desk) -> None:
        asking: Any = {"tool": "nmap", "scan_type": "vuln"}
        before = scanned(desk, up("10.0.0.1"), self.served(scripts={"http-date": "Monday"}), **asking)
        after = scanned(desk, up("10.0.0.1"), self.served(scripts={"http-date": "Tuesday"}), **asking)
        assert listed(desk, before, after) == []
        assert summary(desk, before, after) == DiffSummary(unchanged=1)

    @pytest.mark.parametrize("asked_not", [{"tool": "masscan"}, {"tool": "nmap", "scan_type": "default"}])
    def test_a_side_that_asked_for_no_version_makes_no_change(self, desk: Desk, asked_not: Any) -> None:
        asked = scanned(desk, up("10.0.0.1"), self.served(), tool="nmap", scan_type="intense", ports="80")
        other = scanned(desk, found("10.0.0.1"), **asked_not)
        for pair in ((asked, other), (other, asked)):
            assert listed(desk, *pair) == []
            assert summary(desk, *pair) == DiffSummary(unchanged=1)

    @staticmethod
    def served(**changed: Any) -> Finding:
        extra = {"product": "nginx", "version": "1"} | changed
        return found("10.0.0.1", service=extra.pop("service", "http"), extra=extra)


def test_a_banner_that_no_database_reads_as_json_is_compared_all_the_same(desk: Desk) -> None:
    asking: Any = {"tool": "nmap", "scan_type": "intense"}
    scans = [
        scanned(desk, up("10.0.0.1"), found("10.0.0.1", extra={"product": product}), **asking)
        for product in ("a\0b", "a\0b", "a\0c")
    ]
    assert summary(desk, scans[0], scans[1]) == DiffSummary(unchanged=1)
    assert summary(desk, scans[0], scans[2]) == DiffSummary(changed=1)


class TestTarpits:
    """Hosts that answer on everything are one finding together, so of no other port of theirs it is known."""

    @staticmethod
    def verdict(prefix: str, port: int = 1) -> Finding:
        extra = {"prefix": prefix, "probed_ports": "1-200"}
        return found(prefix.partition("/")[0], port, state=ANSWERS_ALL, extra=extra)

    def test_ports_of_a_host_that_now_answers_on_all_are_not_closed(self, desk: Desk) -> None:
        inside, beside = [found(f"10.0.0.{last}") for last in (4, 5, 7)], [found(f"10.0.0.{last}") for last in (3, 8)]
        before = scanned(desk, *inside, *beside, ports="1-200")
        after = scanned(desk, self.verdict("10.0.0.4/30"), ports="1-200")
        changes = changes_of(desk, before, after)
        assert [changes[one.ip, 80] for one in inside] == ["not_observed"] * 3
        assert [changes[one.ip, 80] for one in beside] == ["closed"] * 2
        assert summary(desk, before, after) == DiffSummary(opened=1, closed=2, not_observed=3)

    def test_a_page_that_begins_within_the_prefix_says_the_same(self, desk: Desk) -> None:
        before = scanned(desk, *(found(f"10.0.0.{last}") for last in range(16)), ports="1-200")
        after = scanned(desk, self.verdict("10.0.0.8/29"), ports="1-200")
        page = PageDiff(desk.open_ledger)(before.id, after.id, LISTED, ("10.0.0.13", "tcp", 80), 1)
        assert [(item.key[0], item.change) for item in page.items] == [("10.0.0.14", Change.NOT_OBSERVED)]


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
        assert [(item.change.value, *item.key[::2], _states(item)) for item in items] == wanted


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
