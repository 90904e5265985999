"""A pause and the hours of scopes hold a scan, and the time in which it is held is no running time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.errors import IllegalTransition
from cloudx.domain.scans import ScanStatus
from cloudx.domain.timing.holds import NO_HOLD, Hold, why_held

from .scan_builder import a_scan

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_nothing_holds_a_scan_that_nobody_paused_and_that_has_no_hours() -> None:
    assert not NO_HOLD.is_held(at(0))
    assert why_held(NO_HOLD, at(0)) is None


def test_hours_hold_it_before_they_open_and_from_the_moment_they_close() -> None:
    hold = Hold(opens_at=at(10), closes_at=at(20))
    assert [hold.is_held(at(minute)) for minute in (9, 10, 19, 20, 10_000)] == [True, False, False, True, True]


def test_a_pause_says_who_and_since_when() -> None:
    words = why_held(NO_HOLD.paused("ann", at(1), None), at(5))
    assert words == "Paused by ann since 2026-03-01 00:01:00 UTC. Resume it to let it go on."


def test_pausing_twice_keeps_the_first_pause_and_resuming_twice_changes_nothing() -> None:
    one = a_scan("10.0.0.1").paused("ann", at(1))
    assert one.paused("bob", at(2)) is one
    two = one.resumed(at(3))
    assert not two.hold.is_paused
    assert two.resumed(at(4)) is two


@pytest.mark.parametrize("status", [status for status in ScanStatus if status.is_final])
def test_a_scan_that_is_over_cannot_be_paused_or_resumed(status: ScanStatus) -> None:
    over = a_scan("10.0.0.1").moved_to(status, at(1))
    with pytest.raises(IllegalTransition, match="nothing left to pause"):
        over.paused("ann", at(2))
    with pytest.raises(IllegalTransition, match="nothing left to resume"):
        over.resumed(at(2))


@st.composite
def days(draw: st.DrawFn) -> list[tuple[int, str, int, int]]:
    """Minutes at which something happens to a scan, in order: (minute, what, opens after, open for)."""
    minutes = sorted(draw(st.sets(st.integers(1, 500), max_size=12)))
    what = st.sampled_from(["pause", "resume", "hours", "no hours"])
    return [(m, draw(what), draw(st.integers(-50, 50)), draw(st.integers(1, 100))) for m in minutes]


@given(days(), st.integers(1, 700))
def test_its_running_time_is_the_sum_of_the_minutes_in_which_nothing_held_it(
    events: list[tuple[int, str, int, int]], until: int
) -> None:
    hold, ran, todo = NO_HOLD, 0, list(events)
    for minute in range(until):
        while todo and todo[0][0] == minute:
            _, what, after, length = todo.pop(0)
            hold = changed(hold, what, minute, after, length)
        ran += not hold.is_held(at(minute))
        assert hold.running_seconds(START, at(minute + 1)) == pytest.approx(ran * 60, abs=0.01)


def changed(hold: Hold, what: str, minute: int, after: int, length: int) -> Hold:
    """What one event makes of it."""
    if what == "pause" and not hold.is_paused:
        return hold.paused("ann", at(minute), START)
    if what == "resume":
        return hold.resumed(at(minute), START)
    if what == "hours":
        return hold.within(at(minute + after), at(minute + after + length), at(minute), START)
    return hold.within(None, None, at(minute), START) if what == "no hours" else hold
