"""The pauses between tries: they double, end at the longest, and spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.backoff import Backoff


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=5.0)
    assert [backoff.seconds_after(failures) for failures in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_smaller_factor_lengthens_the_pause_more_slowly() -> None:
    polling = Backoff(first_seconds=0.1, longest_seconds=0.3, factor=1.5)
    assert [round(polling.seconds_after(polls), 3) for polls in range(1, 6)] == [0.1, 0.15, 0.225, 0.3, 0.3]


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_a_jittered_pause_lies_between_half_and_all_of_it_however_many_failed(failures: int, share: float) -> None:
    backoff = Backoff(0.1, 5.0)
    assert 0.5 * backoff.seconds_after(failures) <= backoff.jittered_after(failures, share) <= 5.0
