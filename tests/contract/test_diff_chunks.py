"""What changed between two scans, by what became of their chunks, and beside hosts that answer on everything."""

from __future__ import annotations

import pytest

from cloudx.domain.diff.changes import LISTED, Change
from cloudx.domain.findings import Finding
from cloudx.domain.proof.tarpits import ANSWERS_ALL
from cloudx.domain.scans import Scan
from cloudx.services.chunks.finish import RunOutput, fail_chunk, keep_stopped_chunk
from cloudx.services.scans.comparison import DiffSummary
from cloudx.services.scans.control import stop_scan
from cloudx.services.scans.diff import PageDiff
from fixtures.diffs import NETWORK, changes_of, scanned, summary
from fixtures.ledgers import ADMIN, Desk, found


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
