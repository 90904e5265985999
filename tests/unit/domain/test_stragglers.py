"""Which chunk is worth cutting again for idle workers, and into what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.planning.chunk_plan import CHUNK_SECONDS
from cloudx.domain.planning.stragglers import (
    CLEARLY,
    MAX_PARTS,
    MAX_SPLITS,
    MIN_HELD_SECONDS,
    RESTART_SECONDS,
    REVOKE_SECONDS,
    Running,
    Spare,
    choose_split,
    choose_splits,
    redo_seconds,
)
from cloudx.domain.tools import SCAN_TYPES, Tool

MASSCAN = SCAN_TYPES[Tool.MASSCAN, "tcp_scan"]
NMAP = SCAN_TYPES[Tool.NMAP, "default"]
# A chunk of 15 s at its rate, of which it sent a tenth in 15 s: 135 s to go.
SLOW = Running(ChunkSpan(3, 0, 15_000), 1, "w", "n", 1000, sent_share=0.1, held_seconds=15.0, silent_seconds=0.0)

RUNNING = st.builds(
    Running,
    span=st.builds(
        ChunkSpan, st.integers(0, 9), st.integers(0, 99), st.integers(1, 10_000), st.just(0), st.integers(1, 9)
    ),
    attempt=st.just(1), worker_id=st.just("w"), node_id=st.just("n"), rate_pps=st.integers(1, 100_000),
    sent_share=st.floats(0, 1), held_seconds=st.floats(0, 10_000), silent_seconds=st.floats(0, 12),
    splits=st.integers(0, MAX_SPLITS),
)  # fmt: skip
LIMITS = st.lists(st.none() | st.integers(1, 100_000), max_size=80)


@given(st.lists(RUNNING, max_size=5), st.sampled_from([MASSCAN, NMAP]), LIMITS, st.integers(1, 1_000_000))
def test_whatever_is_cut_is_one_chunk_in_at_least_two_parts_and_ends_sooner(running, scan_type, limits, rate) -> None:
    if scan_type is NMAP:
        running = [replace(chunk, span=replace(chunk.span, port_count=1)) for chunk in running]
    split = choose_split(running, scan_type, limits, rate)
    if split is None:
        return
    straggler = split.straggler
    assert straggler in running
    assert limits
    assert straggler.splits < MAX_SPLITS
    assert straggler.held_seconds >= MIN_HELD_SECONDS
    assert 2 <= len(split.parts) <= MAX_PARTS
    assert sum(part.units for part in split.parts) == straggler.span.units
    assert straggler.remaining_seconds(scan_type) > CLEARLY * RESTART_SECONDS
    assert split.wait_seconds in (0.0, REVOKE_SECONDS)


def test_a_slow_chunk_is_cut_into_one_part_for_each_idle_worker() -> None:
    split = choose_split([SLOW], MASSCAN, [1000] * 5, 10_000)
    assert split is not None
    assert [part.units for part in split.parts] == [3000] * 5
    assert split.wait_seconds == 0.0


def test_one_idle_worker_gets_two_parts_so_that_the_second_is_for_whoever_comes_first() -> None:
    split = choose_split([SLOW], MASSCAN, [1000], 10_000)
    assert split is not None
    assert [part.units for part in split.parts] == [7500, 7500]


def test_parts_are_not_shorter_than_a_scanners_start_is_worth() -> None:
    split = choose_split([SLOW], MASSCAN, [1000] * 60, 100_000)
    assert split is not None
    assert len(split.parts) == CHUNK_SECONDS


@pytest.mark.parametrize(
    "change",
    [{"sent_share": 0.7}, {"splits": MAX_SPLITS}, {"held_seconds": 2.0}, {"span": ChunkSpan(3, 7, 1)}],
    ids=["nearly done", "cut twice", "just begun", "one address and port"],
)
def test_a_chunk_is_left_alone_when_cutting_it_cannot_help(change: dict[str, Any]) -> None:
    assert choose_split([replace(SLOW, **change)], MASSCAN, [1000] * 5, 10_000) is None


def test_nothing_is_cut_without_idle_workers() -> None:
    assert choose_split([SLOW], MASSCAN, [], 10_000) is None


def test_a_chunk_that_has_the_whole_rate_and_uses_it_is_left_alone() -> None:
    honest = replace(SLOW, sent_share=1 / 3, held_seconds=5.0)
    assert choose_split([honest], MASSCAN, [None] * 5, 1000) is None


def test_the_rate_of_a_straggler_is_given_out_only_when_it_has_heard_of_it() -> None:
    split = choose_split([SLOW], MASSCAN, [None] * 5, 1000)
    assert split is not None
    assert split.wait_seconds == REVOKE_SECONDS


def test_what_others_send_is_not_there_for_the_parts() -> None:
    others = [replace(SLOW, span=ChunkSpan(n, 0, 15_000), sent_share=0.99) for n in (5, 6)]
    assert choose_split([SLOW, *others], MASSCAN, [1000] * 5, 10_000) is not None
    assert choose_split([replace(SLOW, rate_pps=0), *others], MASSCAN, [1000] * 5, 2000) is None


def test_the_slowest_of_several_is_cut_first() -> None:
    slower = replace(SLOW, span=ChunkSpan(4, 0, 15_000), sent_share=0.05)
    split = choose_split([SLOW, slower, SLOW], MASSCAN, [1000] * 5, 10_000)
    assert split is not None
    assert split.straggler is slower


def test_hosts_of_nmap_are_cut_for_every_run_of_an_idle_node_and_thought_as_slow_as_they_were() -> None:
    slow = Running(ChunkSpan(3, 0, 60), 1, "w", "n", 1000, sent_share=0.5, held_seconds=300, silent_seconds=0)
    split = choose_split([slow], NMAP, [None] * 5, 10_000)
    assert split is not None
    assert [part.units for part in split.parts] == [3] * 20
    assert redo_seconds(slow, NMAP, Spare(5, 1)) == RESTART_SECONDS + 600 / 5
    assert choose_split([slow], NMAP, [None], 10_000) is None  # alone it would not be sooner


def test_nmap_may_be_silent_about_a_group_of_hosts_for_twice_the_planned_time() -> None:
    twice_planned = 2 * 60 * NMAP.host_seconds
    silent = Running(ChunkSpan(3, 0, 60), 1, "w", "n", 1000, 0.0, held_seconds=twice_planned - 1, silent_seconds=0)
    assert choose_split([silent], NMAP, [None] * 5, 10_000) is None
    assert choose_split([replace(silent, held_seconds=twice_planned + 1)], NMAP, [None] * 5, 10_000) is not None


def test_what_was_told_a_while_ago_is_not_taken_for_slowness() -> None:
    told = replace(SLOW, sent_share=0.5, held_seconds=9.0, silent_seconds=1.5)
    assert told.total_seconds(MASSCAN) == 15.0
    assert told.remaining_seconds(MASSCAN) == 6.0


def test_what_came_back_at_the_end_is_shared_out_among_the_idle() -> None:
    back = [(ChunkSpan(3, 0, 15_000), 0), (ChunkSpan(9, 50_000, 15_000), 1)]
    parts = choose_splits(back, MASSCAN, Spare(8, 8000))
    assert [[part.units for part in chunk_parts] for chunk_parts in parts] == [[3750] * 4, [3750] * 4]
    assert choose_splits(back, MASSCAN, Spare(3, 8000)) == []
    assert choose_splits([(back[0][0], MAX_SPLITS)], MASSCAN, Spare(8, 8000)) == []
    assert choose_splits(back, MASSCAN, Spare(8, 0)) == []
    assert choose_splits([], MASSCAN, Spare(8, 8000)) == []
