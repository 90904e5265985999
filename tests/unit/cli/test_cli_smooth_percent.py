"""The bar between two answers of the API."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudx.cli.smooth_percent import HORIZON_SECONDS, SmoothPercent


def test_it_moves_between_answers_at_the_speed_the_time_left_implies() -> None:
    smooth = SmoothPercent()
    smooth.observe(50.0, 10.0, now=100.0)
    assert [round(smooth.at(100.0 + t), 2) for t in (0.0, 0.5, 1.0)] == [50.0, 52.5, 55.0]


def test_it_stands_still_where_the_api_falls_silent() -> None:
    smooth = SmoothPercent()
    smooth.observe(50.0, 100.0, now=0.0)
    assert smooth.at(HORIZON_SECONDS) == smooth.at(500.0) == 50.0 + 0.5 * HORIZON_SECONDS


def test_it_does_not_move_before_anything_was_sent() -> None:
    smooth = SmoothPercent()
    smooth.observe(0.0, None, now=0.0)
    assert smooth.at(60.0) == 0.0


def test_a_guess_that_ran_ahead_waits_and_never_runs_back() -> None:
    smooth = SmoothPercent()
    smooth.observe(3.0, 10.0, now=0.0)
    ahead = smooth.at(1.5)
    assert ahead > 17.0
    smooth.observe(3.0, 500.0, now=1.5)
    assert smooth.at(1.5) == ahead
    smooth.observe(20.0, 500.0, now=2.0)
    assert smooth.at(2.0) == 20.0


def test_it_goes_back_when_a_lost_chunk_gave_its_probes_back() -> None:
    smooth = SmoothPercent()
    smooth.observe(60.0, None, now=0.0)
    smooth.observe(40.0, None, now=1.0)
    assert smooth.at(1.0) == 40.0


@given(
    st.lists(st.tuples(st.floats(0, 99.9), st.none() | st.floats(0.1, 1e6), st.floats(0, 60)), max_size=30),
    st.floats(0, 1e4),
)
def test_it_is_full_only_when_the_api_says_so(answers: list[tuple[float, float | None, float]], later: float) -> None:
    smooth, now = SmoothPercent(), 0.0
    for percent, eta_seconds, gap_seconds in answers:
        now += gap_seconds
        smooth.observe(percent, eta_seconds, now)
        assert 0.0 <= smooth.at(now + later) <= 99.9
    smooth.observe(100.0, None, now)
    assert smooth.at(now) == 100.0
