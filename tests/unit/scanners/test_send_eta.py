"""When a run will have sent everything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.scanners.runs.send_eta import SendEta


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_line_is_judged_by_the_rate_that_was_granted() -> None:
    assert SendEta(10_000, 1_000, Clock()).ends_at(0.25) == 107.5


def test_a_burst_at_the_start_does_not_bring_the_end_forward() -> None:
    clock = Clock()
    pace = SendEta(10_000, 1_000, clock)
    pace.ends_at(0.0)
    clock.now += 1.0
    assert pace.ends_at(0.2) == 109.0


def test_a_machine_that_cannot_keep_the_rate_up_is_judged_by_its_own() -> None:
    clock = Clock()
    pace = SendEta(10_000, 1_000, clock)
    pace.ends_at(0.0)
    clock.now += 5.0
    assert pace.ends_at(0.25) == pytest.approx(105.0 + 15.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=20), st.integers(1, 10**9), st.integers(1, 10**7))
def test_the_end_never_lies_in_the_past_and_all_sent_is_now(
    lines: list[tuple[float, float]], packets: int, rate_pps: int
) -> None:
    clock = Clock()
    pace, share = SendEta(packets, rate_pps, clock), 0.0
    for seconds, more in lines:
        clock.now += seconds
        share = min(1.0, share + more)
        assert pace.ends_at(share) >= clock.now
    assert pace.ends_at(1.0) == clock.now
