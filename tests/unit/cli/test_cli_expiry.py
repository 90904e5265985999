"""When something ends, as people write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cloudx.cli.expiry import REMEDY, parse_expiry
from cloudx.domain.errors import InvalidInput

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("90m", "2026-11-24T13:30:00Z"),
        ("12h", "2026-11-25T00:00:00Z"),
        ("30d", "2026-12-24T12:00:00Z"),
        (" 4w ", "2026-12-22T12:00:00Z"),
        ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00Z"),
        ("2027-01-31T18:00:00+02:00", "2027-01-31T16:00:00Z"),
        (None, None),
    ],
)
def test_lengths_and_times_become_a_time_in_utc(text: str | None, until: str | None) -> None:
    assert parse_expiry(text, NOW) == until


def test_a_date_lasts_until_it_is_over_here() -> None:
    end = datetime(2027, 2, 1).astimezone(UTC)
    assert parse_expiry("2027-01-31", NOW) == end.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("text", ["", "soon", "30", "30y", "-3d", "0m", "2020-01-01", "2027-13-01", "9" * 99])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_expiry(text, NOW)
    assert REMEDY in refused.value.message


def test_a_length_past_the_end_of_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidInput):
        parse_expiry("99999w", datetime(9000, 1, 1, tzinfo=UTC))
