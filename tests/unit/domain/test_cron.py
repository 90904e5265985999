"""A schedule's times: each time of the wall is due once, whatever the clocks there do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudx.domain.errors import InvalidInput
from cloudx.domain.timing.cron import Cron, parse_cron

MINUTE = timedelta(minutes=1)


def runs(expression: str, zone: str, since: str, count: int) -> list[str]:
    start = datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(zone))
    return [f"{run:%m-%d %H:%M%z}" for run in Cron(expression, zone).next_runs(start, count)]


@pytest.mark.parametrize(
    ("expression", "zone", "since", "expected"),
    [
        # Spring: 02:00 to 03:00 is skipped; what falls there runs once, at three.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00", ["03-29 03:00+0200", "03-29 03:30+0200"]),
        ("*/20 * * * *", "Europe/Berlin", "2026-03-29T01:45", ["03-29 03:00+0200", "03-29 03:20+0200"]),
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        # Autumn: what comes twice runs the first time.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-25T01:30", ["10-25 02:00+0200", "10-25 03:00+0100"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        # No change at all.
        ("30 2 * * *", "Asia/Tokyo", "2026-03-28T12:00", ["03-29 02:30+0900", "03-30 02:30+0900"]),
        ("30 2 * * *", "UTC", "2026-03-28T12:00", ["03-29 02:30+0000", "03-30 02:30+0000"]),
        ("0 9 * * MON", "Asia/Kathmandu", "2026-03-28T12:00", ["03-30 09:00+0545", "04-06 09:00+0545"]),
    ],
)  # fmt: skip
def test_a_skipped_time_runs_at_the_first_moment_after_and_one_that_comes_twice_runs_once(
    expression: str, zone: str, since: str, expected: list[str]
) -> None:
    assert runs(expression, zone, since, len(expected)) == expected


def test_cronsim_by_itself_runs_what_comes_twice_twice() -> None:
    """Why it is given times of the wall alone."""
    start = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    alone = [f"{run:%H:%M%z}" for run in islice(CronSim("0 * * * *", start), 3)]
    assert alone == ["02:00+0200", "02:00+0100", "03:00+0100"]


def by_the_clock(minutes: set[int], hours: set[int], zone: ZoneInfo, start: datetime) -> Iterator[datetime]:
    """Somebody who looks at the clock each minute, and acts on what it shows or has jumped over for the first time."""
    seen = start.astimezone(zone).replace(tzinfo=None)
    moment = start
    while True:
        moment += MINUTE
        wall, is_due = moment.astimezone(zone).replace(tzinfo=None), False
        while seen < wall:
            seen += MINUTE
            is_due = is_due or (seen.minute in minutes and seen.hour in hours)
        if is_due:
            yield moment


CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 28, 20, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 20, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 2, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 2, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 10, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 10, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 14, 20, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 3, 28, 20, tzinfo=UTC)),
]


@settings(max_examples=60)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=4),
    st.sampled_from(CHANGES),
    st.integers(0, 600),
)
def test_ticks_are_those_of_somebody_who_watches_the_clock(
    minutes: set[int], hours: set[int], change: tuple[str, datetime], offset: int
) -> None:
    zone, day = change
    # A start in the second pass of an hour knows the first pass: it looks back far enough to have seen it.
    seen_since, start = day, day + offset * MINUTE
    expression = f"{','.join(map(str, sorted(minutes)))} {','.join(map(str, sorted(hours)))} * * *"
    watched = (moment for moment in by_the_clock(minutes, hours, ZoneInfo(zone), seen_since) if moment > start)
    expected = list(islice(watched, 4))
    cron = Cron(expression, zone)
    # In UTC: of two zones, a time that comes twice equals nothing (PEP 495).
    assert [run.astimezone(UTC) for run in cron.next_runs(start, 4)] == expected
    assert cron.after(start) == expected[0]
    assert cron.latest(expected[0], expected[2]) == expected[2]
    assert cron.latest(expected[0], expected[2] - MINUTE / 2) == expected[1]
    assert cron.latest(start + MINUTE / 2, expected[0] - MINUTE / 2) is None


def test_the_latest_of_many_years_is_found_at_once() -> None:
    since, until = datetime(1990, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert Cron("* * * * *", "UTC").latest(since, until) == datetime(2026, 1, 1, tzinfo=UTC)
    assert Cron("0 0 1 7 *", "UTC").latest(since, until) == datetime(2025, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "*/0 * * * *", "0 0 30 2 *", "0 0 31 4,6 *", "a b c d e",
     "@daily", "1-0 * * * *", "٣ * * * *", "9" * 4400 + " * * * *", "0 0 * * 1#9", "; rm -rf /"],
)  # fmt: skip
def test_what_is_no_cron_expression_is_refused_with_what_it_takes(expression: str) -> None:
    with pytest.raises(InvalidInput, match=r"five fields, such as .*0 3 \* \* 1-5") as refused:
        parse_cron(expression, "UTC")
    assert refused.value.field == "cron"


@pytest.mark.parametrize("zone", ["", "CEST?", "Europe/Atlantis", "/etc/passwd", "../UTC", "utc\0", "posixrules"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidInput, match="Europe/Berlin") as refused:
        parse_cron("0 3 * * *", zone)
    assert refused.value.field == "timezone"


@given(st.text(max_size=30) | st.text("0123456789*/,-#LWMON ", max_size=30))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    try:
        cron = parse_cron(text, "Europe/Berlin")
    except InvalidInput:
        return
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ticks = cron.next_runs(start, 3)
    assert ticks == sorted(set(ticks)) and all(tick > start for tick in ticks)
