"""How rates are shared by unequal nodes and by scans of unequal priority."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.rates.shares import (
    Want,
    chunk_share_pps,
    level_pps,
    room_pps,
    runs_abreast,
    share_beside,
    why_slower,
)
from cloudx.domain.tools import UNBOUNDED_PPS, scan_type_named

MASSCAN, NMAP, UDP = (scan_type_named(*names) for names in (("masscan", None), ("nmap", None), ("nmap", "udp")))
RATES = st.integers(1, 10_000_000)
LIMITS = st.lists(st.integers(1, 1_000_000), min_size=1, max_size=30)


@given(RATES, LIMITS)
def test_the_nodes_together_get_the_whole_rate_or_send_all_they_can(rate: int, limits: list[int]) -> None:
    level = level_pps(rate, limits)
    together = sum(min(limit, level) for limit in limits)
    if rate < len(limits):
        assert level == 1  # a packet a second each is the least; the sum of grants holds the rest back
        return
    assert together <= rate
    assert together > min(rate, sum(limits)) - len(limits)  # less what does not divide


@given(RATES, st.integers(1, 30))
def test_equal_nodes_get_equal_shares(rate: int, nodes: int) -> None:
    assert level_pps(rate, [None] * nodes) == max(1, rate // nodes)
    assert level_pps(rate, [10_000_000] * nodes) == max(1, rate // nodes)


def test_what_a_slow_node_cannot_send_is_shared_by_the_others() -> None:
    assert level_pps(16_000, [2_000] * 8) == 2_000
    assert level_pps(16_000, [1_000, *[4_000] * 5]) == 3_000
    assert level_pps(16_000, [1_000, None, None]) == 7_500


def test_a_level_with_no_node_is_the_rate_itself() -> None:
    assert level_pps(1_000, []) == 1_000


@given(RATES, st.lists(st.builds(Want, RATES, RATES, RATES), max_size=5))
def test_what_goes_first_leaves_a_node_no_more_than_the_rest(limit: int, wants: list[Want]) -> None:
    room = room_pps(limit, wants)
    assert 0 <= room <= limit
    assert room + sum(want.pps for want in wants) >= limit


def test_a_scan_that_has_its_share_of_a_node_leaves_the_rest_to_lower_priorities() -> None:
    assert room_pps(1_000, [Want(600, 600, 5_000)]) == 1_000  # granted already: it counts in the node's sum
    assert room_pps(1_000, [Want(600, 0, 5_000)]) == 400
    assert room_pps(1_000, [Want(600, 0, 100)]) == 900
    assert room_pps(1_000, [Want(600, 0, 5_000), Want(600, 0, 5_000)]) == 0
    assert room_pps(1_000, []) == 1_000


def test_a_scan_takes_what_those_before_it_leave_on_a_node_unless_that_is_a_sliver() -> None:
    assert share_beside(1_000, 1_000, []) == 1_000
    assert share_beside(1_000, 1_000, [Want(600, 600, 0)]) == 400
    assert share_beside(1_000, 1_000, [Want(600, 100, 5_000)]) == 400
    assert share_beside(1_000, 1_000, [Want(900, 900, 0)]) == 1_000  # it waits for a real share
    assert share_beside(300, 1_000, [Want(600, 600, 0)]) == 300


def test_a_chunk_gets_the_level_of_its_scan_and_more_when_few_are_left() -> None:
    assert chunk_share_pps(MASSCAN, 7_000, [1_000, 4_000, 4_000], 50) == 3_000
    assert chunk_share_pps(MASSCAN, 7_000, [1_000, 4_000, 4_000], 1) == 7_000
    assert chunk_share_pps(NMAP, 8_000, [None, None], 50) == 1_000


@pytest.mark.parametrize(
    ("rate", "limits", "max_workers", "says"),
    [
        (50_000, [2_000] * 8, None, "The 8 nodes for it send at most 15,000 packets per second.*50,000.*add nodes"),
        (50_000, [2_000], None, "The node that can run it sends at most 1,875"),
        (5_000, [2_000] * 8, 2, "The 2 nodes for it send at most 3,750.*a sixteenth.*raise its max_workers"),
        (15_000, [2_000] * 8, None, None),
        (50_000, [2_000, None], None, None),
        (50_000, [], None, None),
    ],
)
def test_a_scan_asked_faster_than_its_nodes_can_send_says_so_and_what_to_do(
    rate: int, limits: list[int | None], max_workers: int | None, says: str | None
) -> None:
    sentence = why_slower(rate, limits, max_workers)
    if says is None:
        assert sentence is None
        return
    assert sentence is not None
    assert re.search(says, sentence)


def test_udp_runs_alone_of_its_scan_on_a_node_and_other_nmap_scans_four_times() -> None:
    assert runs_abreast(UDP, 1, 50) == 1
    assert [runs_abreast(NMAP, nodes, chunks) for nodes, chunks in ((1, 50), (8, 9), (8, 1))] == [4, 2, 1]
    assert chunk_share_pps(UDP, 8_000, [None, None], 50) == 4_000


def test_a_scan_for_which_no_rate_was_asked_is_never_called_slow() -> None:
    assert why_slower(UNBOUNDED_PPS, [1_000, 2_000]) is None
