"""What is shown of a scan: coverage, progress, time left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.records import Tally
from cloudx.services.scans.view import coverage_of, view_of
from unit.domain.scan_builder import NOW, a_scan

RUNNING = replace(a_scan(ports="1-10", excluded_addresses=44), status=ScanStatus.RUNNING, started_at=NOW)


def test_coverage_adds_what_was_excluded_before_and_after_submit() -> None:
    tally = Tally(chunks_total=9, completed_units=1000, failed_units=100, excluded_units=60)
    coverage = coverage_of(RUNNING, tally)
    assert coverage.planned == 300 * 10
    assert coverage.excluded == 44 * 10 + 60
    assert coverage.balances
    assert coverage.remaining == 3000 - 1000 - 100 - 500


def test_time_left_follows_the_pace_so_far_and_counts_what_is_on_its_way() -> None:
    tally = Tally(chunks_total=9, completed_units=540, in_flight_units=100.0)
    assert view_of(RUNNING, tally, NOW + timedelta(seconds=64)).eta_seconds == (3000 - 440 - 640) * 64 // 640 + 1


@pytest.mark.parametrize(
    ("scan", "tally", "seconds"),
    [
        (RUNNING, Tally(), 10),  # nothing was sent yet
        (RUNNING, Tally(completed_units=10), 0),
        (replace(RUNNING, status=ScanStatus.STOPPED), Tally(completed_units=10), 10),
        (replace(RUNNING, started_at=None), Tally(completed_units=10), 10),
    ],
)
def test_no_time_left_is_guessed_where_there_is_no_pace(scan, tally: Tally, seconds: float) -> None:
    assert view_of(scan, tally, NOW + timedelta(seconds=seconds)).eta_seconds is None


def test_a_completed_scan_shows_100_percent_and_a_running_one_never_does() -> None:
    everything = Tally(completed_units=2560)
    assert view_of(replace(RUNNING, status=ScanStatus.COMPLETED), everything, NOW).progress == 100.0
    almost = Tally(completed_units=2559, in_flight_units=1.0)
    assert view_of(RUNNING, almost, NOW).progress == 99.9


def test_chunks_that_nobody_has_are_what_is_left_of_the_total() -> None:
    tally = Tally(chunks_total=10, chunks_done=3, chunks_failed=1, chunks_leased=2, chunks_cancelled=0)
    assert tally.chunks_pending == 4


def test_ids_are_uuids_of_version_7_that_sort_by_their_time() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    milliseconds = [scan_id[:13] for scan_id in ids]
    assert milliseconds == sorted(milliseconds)
    assert {scan_id[14] for scan_id in ids} == {"7"}
    assert {scan_id[19] for scan_id in ids} <= set("89ab")
