"""The size of a batch follows how long its locks were held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudx.domain.retention import FIRST_BATCH_ROWS, MOST_BATCH_ROWS, MOST_BATCH_SECONDS, next_batch_rows


@given(st.floats(1e-7, 1e-1))
def test_batches_settle_at_less_than_a_tenth_of_a_second_on_any_machine(seconds_a_row: float) -> None:
    rows = FIRST_BATCH_ROWS
    for _ in range(40):
        rows = next_batch_rows(rows, rows * seconds_a_row)
    assert 1 <= rows <= MOST_BATCH_ROWS
    assert rows == 1 or rows * seconds_a_row <= MOST_BATCH_SECONDS


def test_a_batch_in_between_is_as_good_as_the_next() -> None:
    assert next_batch_rows(1000, MOST_BATCH_SECONDS / 4) == 1000
