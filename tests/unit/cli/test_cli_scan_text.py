"""A scan in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudx.cli.scan_text import (
    age,
    chunks_line,
    coverage_line,
    doubtful_line,
    duration,
    moment_of,
    outcome_line,
    progress_line,
    remaining_units,
    seconds_left,
    stages_line,
    worker_lines,
)


def _scan(**changes: Any) -> dict[str, Any]:
    scan = {
        "tool": "masscan",
        "scan_type": "tcp_scan",
        "target": "10.0.0.0/24",
        "status": "running",
        "coverage": {"planned": 10_000, "completed": 4_000, "excluded": 100, "failed": 0},
        "chunks": {"pending": 3, "leased": 1, "done": 2, "failed": 0, "cancelled": 0},
        "workers": [
            {"node_id": "a", "chunks_done": 2, "rate": 2_000},
            {"node_id": "b", "chunks_done": 0, "rate": 1_000},
            {"node_id": "gone", "chunks_done": 1, "rate": 0},
        ],
    }
    return scan | changes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (3723, "1:02:03"), (273906, "3d 4:05:06"), (-5, "0:00")],
)
def test_durations_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_coverage_of_a_finished_scan_reads_as_an_equation() -> None:
    done = _scan(status="completed", coverage={"planned": 256, "completed": 250, "excluded": 4, "failed": 2})
    assert coverage_line(done) == "256 probes planned = 250 completed + 4 excluded + 2 failed"
    assert remaining_units(done) == 0


def test_what_remains_is_to_do_while_running_and_not_finished_after_a_stop() -> None:
    assert coverage_line(_scan()).endswith("+ 0 failed + 5,900 to do")
    assert coverage_line(_scan(status="stopped")).endswith("+ 0 failed + 5,900 not finished")


def test_a_stopped_scan_says_how_many_of_its_packets_had_been_sent() -> None:
    stopped = _scan(status="stopped")
    stopped["coverage"] |= {"packets_sent": 1234}
    assert coverage_line(stopped).endswith("+ 5,900 not finished; 1,234 packets had been sent")


def test_nmap_counts_hosts_and_one_is_singular() -> None:
    one = _scan(tool="nmap", coverage={"planned": 1, "completed": 1, "excluded": 0, "failed": 0})
    assert coverage_line(one).startswith("1 host planned")


def test_progress_counts_only_workers_that_send() -> None:
    assert progress_line(_scan(), 42.5) == (
        "4,250 of 10,000 probes · up to 3,000 packets/s · 2 workers · 2 of 6 chunks done"
    )


def test_each_of_several_workers_has_a_line_and_too_many_are_counted() -> None:
    workers = [{"node_id": f"vps{n}", "chunks_done": n, "rate": 2000 * n} for n in (2, 1, 3)]
    assert worker_lines(_scan(workers=workers), 3) == [
        "vps1      2,000 packets/s    1 chunk done",
        "vps2      4,000 packets/s   2 chunks done",
        "vps3      6,000 packets/s   3 chunks done",
    ]
    assert worker_lines(_scan(workers=workers), 2)[1:] == ["and 2 more"]
    assert worker_lines(_scan(workers=workers[:1]), 3) == []


def test_the_time_left_is_told_once_enough_is_done_to_estimate_it() -> None:
    assert seconds_left(_scan(progress=3.0, eta_seconds=900)) is None
    assert seconds_left(_scan(progress=5.0, eta_seconds=90)) == 90.0
    assert seconds_left(_scan(progress=50.0, eta_seconds=None)) is None


def test_a_submitted_scan_waits_for_a_worker() -> None:
    assert progress_line(_scan(status="submitted"), 0.0) == "waiting for a worker"


def test_cancelled_chunks_are_named_where_there_are_any() -> None:
    assert chunks_line(_scan()) == "2 done, 1 leased, 3 pending, 0 failed"
    assert chunks_line(_scan(chunks={"pending": 0, "leased": 0, "done": 2, "failed": 0, "cancelled": 4})) == (
        "2 done, 0 leased, 0 pending, 0 failed, 4 cancelled"
    )


def test_the_outcome_says_how_long_and_why() -> None:
    ended = {"started_at": "2026-11-24T10:00:00Z", "finished_at": "2026-11-24T10:00:12.500000Z"}
    assert outcome_line(_scan(status="completed", **ended)) == "masscan tcp_scan of 10.0.0.0/24: completed in 12.5 s"
    failed = _scan(status="failed", error="The disk of the node is full", **ended)
    assert outcome_line(failed).endswith("failed in 12.5 s. The disk of the node is full")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (7_199, "1h"), (86_400 * 9, "9d"), (-3, "0s")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    then = datetime(2026, 11, 24, tzinfo=UTC)
    assert age(then.isoformat(), then + timedelta(seconds=seconds)) == text


def test_a_time_without_a_zone_is_utc() -> None:
    assert moment_of("2026-11-24T10:00:00") == moment_of("2026-11-24T10:00:00Z")
    assert moment_of(None) is None


def test_ports_of_which_nothing_was_heard_are_counted_apart_from_open_ones() -> None:
    states = ["open", "open|filtered", "open|filtered", "up"]
    assert doubtful_line([{"state": state} for state in states]).startswith("2 answered; of 2 nothing was heard")
    assert doubtful_line([{"state": "open"}]) == doubtful_line([]) == ""


def test_a_scan_of_two_stages_tells_how_far_each_is() -> None:
    first = {"tool": "masscan", "unit": "probes", "planned": 8000, "remaining": 0, "failed": 0}
    second = {"tool": "nmap", "unit": "ports", "planned": 5, "remaining": 1, "failed": 1}
    scan = {"coverage": {"stages": [first, second]}}
    assert stages_line(scan) == "masscan 8,000 of 8,000 probes, then nmap 4 of 5 ports (1 failed)"
    assert stages_line({"coverage": {"stages": []}}) == ""
