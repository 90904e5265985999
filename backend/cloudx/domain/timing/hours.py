"""The hours in which a scope may be scanned, by a clock on the wall of its zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cloudx.domain.errors import InvalidInput

from .zones import changes_between, require_zone, wall_at

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_OF_A_DAY = 24 * 60
MAX_WINDOWS = 50
# A week repeats itself; what does not come in so long (hours of two scopes that never meet) is looked for again then.
HORIZON = timedelta(days=9)
_FIELD = "allowed_hours"
_EXAMPLE = '{"timezone": "Europe/Berlin", "windows": [{"days": ["mon", "fri"], "from": "22:00", "to": "06:00"}]}'


@dataclass(frozen=True)
class HourWindow:
    """Minutes of the day on some days; one that ends before it starts ends on the next day.

    `days` (0 is Monday) are those on which it opens.
    """

    days: tuple[int, ...]
    first_minute: int  # 0 to 1439
    end_minute: int  # 1 to 1440, the first that is not in it

    def has(self, wall: datetime) -> bool:
        """True where a clock that shows this time is in the window."""
        minute, day = wall.hour * 60 + wall.minute, wall.weekday()
        if self.first_minute < self.end_minute:
            return day in self.days and self.first_minute <= minute < self.end_minute
        is_late, is_early = minute >= self.first_minute, minute < self.end_minute
        return (is_late and day in self.days) or (is_early and (day - 1) % 7 in self.days)


@dataclass(frozen=True)
class AllowedHours:
    """When a scope may be scanned: while a clock on the wall of its zone shows a time in one of the windows.

    What such a clock skips is not there; what it shows twice is there twice.
    """

    timezone: str
    windows: tuple[HourWindow, ...]

    def is_open(self, at: datetime) -> bool:
        """True when it may be scanned."""
        wall = wall_at(at, self._zone)
        return any(window.has(wall) for window in self.windows)

    def moments(self, after: datetime) -> Iterator[datetime]:
        """All moments (UTC) in the HORIZON after this one at which it may open or close; others too."""
        zone, start = self._zone, after.replace(microsecond=0)
        yield from changes_between(start, start + HORIZON, zone)
        midnight = wall_at(after, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        edges = {minute for window in self.windows for minute in (window.first_minute, window.end_minute)}
        for day in range(HORIZON.days + 2):
            for minute in edges:
                wall = midnight + timedelta(days=day, minutes=minute)
                for fold in (0, 1):
                    yield wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


@dataclass(frozen=True)
class Opening:
    """When something that has hours runs: from `opens_at` (None: it may run now) until `closes_at` (None: always)."""

    opens_at: datetime | None = None
    closes_at: datetime | None = None


def opening_of(hours: Sequence[AllowedHours], at: datetime) -> Opening:
    """The present opening of all of these hours together, or the next one.

    Where none comes within the HORIZON, it opens and closes at its end: nothing runs, and it is to be asked again.
    """
    if not hours:
        return Opening()
    if all_open(hours, at):
        return Opening(closes_at=next_change(hours, at))
    opens_at = next_change(hours, at)
    if opens_at is None:
        return Opening(at + HORIZON, at + HORIZON)
    return Opening(opens_at, next_change(hours, opens_at) or opens_at + HORIZON)


def all_open(hours: Iterable[AllowedHours], at: datetime) -> bool:
    """True when each of them is open."""
    return all(one.is_open(at) for one in hours)


def next_change(hours: Sequence[AllowedHours], at: datetime) -> datetime | None:
    """When all of them together open or close next; None where that is not within the HORIZON."""
    is_open = all_open(hours, at)
    moments = {moment for one in hours for moment in one.moments(at) if at < moment <= at + HORIZON}
    return next((moment for moment in sorted(moments) if all_open(hours, moment) is not is_open), None)


def next_opening(hours: Sequence[AllowedHours], at: datetime) -> datetime | None:
    """When all of them are open: now, later, or None where that is not within the HORIZON."""
    return at if all_open(hours, at) else next_change(hours, at)


def parse_hours(document: Mapping[str, Any]) -> AllowedHours:
    """Hours as a user wrote them: {"timezone", "windows": [{"days", "from", "to"}]}. Raises InvalidInput."""
    timezone, windows = document.get("timezone", "UTC"), document.get("windows") or ()
    require_zone(timezone, _FIELD)
    if not 1 <= len(windows) <= MAX_WINDOWS:
        raise InvalidInput(_FIELD, f"allowed_hours has from 1 to {MAX_WINDOWS} windows: {_EXAMPLE}.")
    return AllowedHours(timezone, tuple(_window(window) for window in windows))


def show_hours(hours: AllowedHours) -> dict[str, Any]:
    """The same as parse_hours takes."""
    windows = [
        {"days": [DAYS[day] for day in one.days], "from": _clock(one.first_minute), "to": _clock(one.end_minute)}
        for one in hours.windows
    ]
    return {"timezone": hours.timezone, "windows": windows}


def _window(window: Mapping[str, Any]) -> HourWindow:
    days = window.get("days") or DAYS
    unknown = [day for day in days if day not in DAYS]
    if unknown:
        raise InvalidInput(_FIELD, f"{str(unknown[0])[:20]!r} is no day. Days are {', '.join(DAYS)}.")
    first, end = _minute(window.get("from")), _minute(window.get("to"))
    end = end or MINUTES_OF_A_DAY
    if first in (end, MINUTES_OF_A_DAY):
        raise InvalidInput(_FIELD, "A window ends when it starts. For a whole day write from 00:00 to 24:00.")
    return HourWindow(tuple(sorted({DAYS.index(day) for day in days})), first, end)


def _minute(text: Any) -> int:
    """The minute of the day of a time as HH:MM."""
    digits = text[:2] + text[3:] if isinstance(text, str) and len(text) == 5 and text[2] == ":" else ""
    if digits.isascii() and digits.isdigit():
        hour, minute = int(digits[:2]), int(digits[2:])
        if minute < 60 and hour * 60 + minute <= MINUTES_OF_A_DAY:
            return hour * 60 + minute
    raise InvalidInput(_FIELD, f"{str(text)[:20]!r} is no time of the day. Write it as 22:00, from 00:00 to 24:00.")


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
