"""The hours of a scope go by a clock on the wall of its zone, over midnight and over changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.errors import InvalidInput
from cloudx.domain.timing.hours import (
    DAYS,
    HORIZON,
    AllowedHours,
    Opening,
    next_change,
    next_opening,
    opening_of,
    parse_hours,
    show_hours,
)

MINUTE = timedelta(minutes=1)


def hours(first: str, end: str, zone: str = "Europe/Berlin", days: str = "") -> AllowedHours:
    window = {"from": first, "to": end} | ({"days": days.split()} if days else {})
    return parse_hours({"timezone": zone, "windows": [window]})


def at(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


NIGHT = hours("22:00", "06:00", days="mon tue wed thu fri")


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-06-01T21:59", False),  # a Monday
        ("2026-06-01T22:00", True),
        ("2026-06-02T05:59", True),
        ("2026-06-02T06:00", False),
        ("2026-06-06T05:00", True),  # Saturday morning belongs to Friday's night
        ("2026-06-06T22:00", False),
        ("2026-06-07T23:00", False),
        ("2026-06-01T05:00", False),  # Monday morning to Sunday's
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: str, is_open: bool) -> None:
    assert NIGHT.is_open(at(moment)) is is_open


def test_several_windows_and_whole_days() -> None:
    weekend = {"days": ["sat", "sun"], "from": "00:00", "to": "24:00"}
    both = parse_hours({"timezone": "Europe/Berlin", "windows": [{"from": "22:00", "to": "00:00"}, weekend]})
    assert [both.is_open(at(f"2026-06-0{day}T12:00")) for day in (5, 6, 7, 8)] == [False, True, True, False]
    assert both.is_open(at("2026-06-08T23:59")) and not both.is_open(at("2026-06-09T00:00"))
    # Friday's evening, the weekend: one opening.
    assert opening_of([both], at("2026-06-05T12:00")) == Opening(at("2026-06-05T22:00"), at("2026-06-08T00:00"))


@pytest.mark.parametrize(
    ("window", "moment", "opens", "closes"),
    [
        (NIGHT, "2026-06-01T12:00", "2026-06-01T22:00+02:00", "2026-06-02T06:00+02:00"),
        (NIGHT, "2026-06-06T12:00", "2026-06-08T22:00+02:00", "2026-06-09T06:00+02:00"),
        # Spring: nobody's clock shows 02:30.
        (hours("02:30", "04:00"), "2026-03-28T12:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"),
        (hours("01:00", "02:30"), "2026-03-28T12:00", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00"),
        (hours("02:00", "03:00"), "2026-03-28T12:00", "2026-03-30T02:00+02:00", "2026-03-30T03:00+02:00"),
        # Autumn: the clocks show 02:00 to 03:00 twice.
        (hours("22:00", "06:00"), "2026-10-24T12:00", "2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00"),
        (hours("02:00", "03:00"), "2026-10-24T12:00", "2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00"),
        (hours("01:00", "02:30"), "2026-10-24T12:00", "2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00"),
        (hours("01:00", "02:30"), "2026-10-25T02:45", "2026-10-25T02:00+01:00", "2026-10-25T02:30+01:00"),
    ],
)  # fmt: skip
def test_an_opening_begins_and_ends_as_the_clock_on_the_wall_shows(
    window: AllowedHours, moment: str, opens: str, closes: str
) -> None:
    expected = Opening(datetime.fromisoformat(opens), datetime.fromisoformat(closes))
    assert opening_of([window], at(moment)) == expected


def test_all_of_several_hours_have_to_be_open() -> None:
    berlin, new_york = hours("22:00", "06:00"), hours("18:00", "23:00", "America/New_York")
    opening = opening_of([berlin, new_york], at("2026-06-01T12:00"))
    assert opening == Opening(at("2026-06-02T00:00"), at("2026-06-02T05:00"))
    assert opening_of([], at("2026-06-01T12:00")) == Opening()


def test_hours_that_never_meet_open_never_and_hours_without_an_end_never_close() -> None:
    noon = at("2026-06-01T12:00")
    never = opening_of([hours("08:00", "09:00"), hours("09:00", "10:00")], noon)
    assert never == Opening(noon + HORIZON, noon + HORIZON)
    assert next_opening([hours("08:00", "09:00"), hours("09:00", "10:00")], noon) is None
    assert opening_of([hours("00:00", "24:00")], noon) == Opening(None, None)


TIMES = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
WINDOWS = st.tuples(TIMES, TIMES, st.sets(st.sampled_from(DAYS), min_size=1)).filter(lambda one: one[0] != one[1])
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
STARTS = st.sampled_from(["2026-03-06", "2026-03-27", "2026-04-03", "2026-10-02", "2026-10-23", "2026-10-30"])


@settings(max_examples=60)
@given(st.lists(st.tuples(ZONES, st.lists(WINDOWS, min_size=1, max_size=3)), min_size=1, max_size=2), STARTS)
def test_a_change_is_the_first_minute_at_which_the_clocks_say_otherwise(
    drawn: list[tuple[str, list[tuple[str, str, set[str]]]]], start: str
) -> None:
    several = [
        parse_hours({"timezone": zone, "windows": [{"from": f, "to": t, "days": sorted(d)} for f, t, d in windows]})
        for zone, windows in drawn
    ]
    moment = at(f"{start}T12:00", "UTC")
    change = next_change(several, moment)
    is_open = all(one.is_open(moment) for one in several)
    last = change or moment + 4 * timedelta(days=1)
    watched = moment
    while watched < min(last, moment + timedelta(days=4)):
        assert all(one.is_open(watched) for one in several) is is_open, watched
        watched += MINUTE
    assert change is None or all(one.is_open(change) for one in several) is not is_open


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"windows": []},
        {"timezone": "Mars/Olympus", "windows": [{"from": "22:00", "to": "06:00"}]},
        {"windows": [{"from": "22:00"}]},
        {"windows": [{"from": "25:00", "to": "06:00"}]},
        {"windows": [{"from": "24:01", "to": "06:00"}]},
        {"windows": [{"from": "9:00", "to": "17:00"}]},
        {"windows": [{"from": "٠٩:00", "to": "17:00"}]},
        {"windows": [{"from": "09:00", "to": "09:00"}]},
        {"windows": [{"from": "24:00", "to": "09:00"}]},
        {"windows": [{"from": "09:00", "to": "17:00", "days": ["monday"]}]},
        {"windows": [{"from": "09:00", "to": "17:00"}] * 51},
    ],
)
def test_what_are_no_hours_is_refused_with_what_they_are(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_hours(document)
    assert refused.value.field == "allowed_hours"


def test_hours_are_shown_as_they_were_written() -> None:
    written = {"timezone": "Europe/Berlin", "windows": [{"days": ["mon", "sun"], "from": "22:00", "to": "24:00"}]}
    assert show_hours(parse_hours(written)) == written
