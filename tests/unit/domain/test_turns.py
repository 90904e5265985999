"""Turns on a node: users first, then their scans; nobody is starved, and nobody's part is wasted."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.rates.grants import reserve_pps
from cloudx.domain.rates.turns import Contender, fair_pps, in_turn, is_quick, least_pps, quick_share_pps

LIMIT_PPS = 16_000
HOG = Contender("hog", "hal", wants_pps=10**9, held_pps=15_000, served_at=100.0)

contender_lists = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(1, 50_000), st.integers(0, 20_000)), min_size=1, max_size=12
).map(lambda rows: [Contender(str(n), owner, wants, held) for n, (owner, wants, held) in enumerate(rows)])


def test_who_holds_least_goes_first_and_a_users_scans_count_together() -> None:
    one = Contender("1", "ann", 1_000)
    many = [Contender(f"2{n}", "bob", 1_000, held_pps=200, served_at=5.0) for n in range(3)]
    less = Contender("3", "cy", 1_000, held_pps=500, served_at=9.0)
    assert [c.scan_id for c in in_turn([HOG, *many, less, one])] == ["1", "3", "20", "21", "22", "hog"]


def test_of_those_who_hold_as_much_the_one_who_waits_longest_goes_first() -> None:
    just_served = Contender("1", "ann", 1_000, served_at=20.0)
    served_before = Contender("2", "bob", 1_000, served_at=10.0)
    never_served = Contender("3", "cy", 1_000)
    assert [c.owner for c in in_turn([just_served, served_before, never_served])] == ["cy", "bob", "ann"]


def test_two_users_take_turns_where_one_chunk_at_a_time_fits() -> None:
    served_at = {"ann": float("-inf"), "bob": float("-inf")}
    clock, order = count(), []
    for _ in range(6):
        turn = in_turn([Contender(owner, owner, 1, 0, at) for owner, at in served_at.items()])[0].owner
        served_at[turn] = float(next(clock))
        order.append(turn)
    assert order == ["ann", "bob"] * 3


def test_a_hundred_scans_of_one_user_leave_half_of_the_node_to_the_other() -> None:
    many = [Contender(f"m{n}", "ann", 10**9) for n in range(100)]
    alone = Contender("alone", "bob", 10**9)
    assert fair_pps(LIMIT_PPS, [*many, alone], "alone") == LIMIT_PPS // 2
    assert fair_pps(LIMIT_PPS, [*many, alone], "m0") == LIMIT_PPS // 2 // 100


def test_what_a_small_scan_cannot_use_is_the_others() -> None:
    assert fair_pps(LIMIT_PPS, [HOG, Contender("small", "ann", 34)], "hog") == LIMIT_PPS - 34
    assert fair_pps(LIMIT_PPS, [HOG], "hog") == LIMIT_PPS


@given(contender_lists, st.integers(1, 20_000))
def test_the_fair_parts_together_are_the_limit_or_all_that_is_wanted(contenders: list[Contender], limit: int) -> None:
    parts = {one.scan_id: min(one.wants_pps, fair_pps(limit, contenders, one.scan_id)) for one in contenders}
    rounding = len(contenders)  # each gets at least one packet a second
    assert sum(parts.values()) <= limit + rounding
    wanted = sum(min(limit, one.wants_pps) for one in contenders)
    assert sum(parts.values()) >= min(limit, wanted) - 2 * rounding


@given(contender_lists)
def test_everybody_has_a_turn_once(contenders: list[Contender]) -> None:
    assert sorted(one.scan_id for one in in_turn(contenders)) == sorted(one.scan_id for one in contenders)


def test_ten_small_scans_find_room_beside_a_scan_that_holds_all_that_it_may() -> None:
    free, started = reserve_pps(LIMIT_PPS), 0
    for waiting in range(10, 0, -1):
        share = quick_share_pps(1_000, 1_000, free, waiting)
        assert share >= least_pps(1_000)
        free, started = free - share, started + 1
    assert started == 10 and free >= 0


def test_a_scan_is_quick_by_what_the_reserve_sends() -> None:
    assert is_quick(60 * (LIMIT_PPS // 16), LIMIT_PPS) and not is_quick(60 * (LIMIT_PPS // 16) + 1, LIMIT_PPS)
    assert quick_share_pps(1_000, 1_000, 10, 1) == 0, "it would take two minutes"
    assert quick_share_pps(1_000, 1_000, 5_000, 2) == 1_000, "there is enough for both"
