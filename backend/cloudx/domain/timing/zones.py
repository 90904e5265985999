"""Time zones by name, and the changes of their clocks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cloudx.domain.errors import InvalidInput

_STEP = timedelta(hours=6)  # no zone changes its clocks twice in so short a time


def require_zone(name: str, field: str) -> None:
    """A name that is not known is never looked up: it could be any path. Raises InvalidInput."""
    if name not in _known_zones():
        raise InvalidInput(field, f"{name[:64]!r} is no time zone. Name one as Europe/Berlin or UTC.")


def wall_at(moment: datetime, zone: ZoneInfo) -> datetime:
    """What a clock on the wall there shows, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def wall_time(moment: datetime, zone: str, now: datetime) -> str:
    """A moment as people there say it: the time, with the date where it is not today's."""
    wall = wall_at(moment, ZoneInfo(zone))
    is_today = wall.date() == wall_at(now, ZoneInfo(zone)).date()
    return f"{wall:%H:%M}" if is_today else f"{wall:%a %Y-%m-%d %H:%M}"


def in_words(span: timedelta) -> str:
    """How long it is, to two units: `3 h`, `2 d 4 h`, `12 min`."""
    minutes = -(-int(span.total_seconds()) // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    units = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(units[:2]) or "0 min"


def changes_between(first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The moments (UTC) in a span at which the clocks there are put forward or back; both ends at full seconds."""
    while first < last:
        end = min(first + _STEP, last)
        if _offset(first, zone) != _offset(end, zone):
            yield _change_in(first, end, zone)
        first = end


def _change_in(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """The first second with the offset that the end of the span has."""
    before, seconds = _offset(early, zone), int((late - early).total_seconds())
    return early + timedelta(
        seconds=bisect_left(range(seconds), True, key=lambda s: _offset(early + timedelta(seconds=s), zone) != before)
    )


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())
