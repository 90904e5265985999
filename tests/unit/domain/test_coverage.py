"""Coverage arithmetic: nothing is left out, and 100 % is said only at the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.coverage import Coverage, progress_percent

COUNT = st.integers(0, 1 << 40)


@given(COUNT, COUNT, COUNT, COUNT, st.integers(-3, 3))
def test_it_balances_when_every_unit_is_accounted_for_once(a: int, b: int, c: int, d: int, off: int) -> None:
    coverage = Coverage(a + b + c + d + off, a, b, c, d)
    assert coverage.balances == (off == 0)


@given(COUNT, COUNT, COUNT, COUNT, st.floats(0, 1e15))
def test_progress_is_a_percentage_that_is_100_only_when_nothing_remains(
    completed: int, excluded: int, failed: int, remaining: int, in_flight: float
) -> None:
    planned = completed + excluded + failed + remaining
    percent = progress_percent(Coverage(planned, completed, excluded, failed, remaining), in_flight)
    assert 0 <= percent <= 100
    assert (percent == 100) == (remaining == 0)
    assert round(percent, 1) == percent


def test_progress_counts_what_is_on_its_way() -> None:
    assert progress_percent(Coverage(1000, 200, 100, 0, 700), 100.0) == 40.0
    assert progress_percent(Coverage(1000, 0, 0, 0, 1000), 0.0) == 0.0
    assert progress_percent(Coverage(1000, 0, 0, 0, 1000), 5000.0) == 99.9
    assert progress_percent(Coverage(0), 0.0) == 100.0
