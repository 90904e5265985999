"""Cron expressions in a time zone: each time that a clock on the wall there shows is one moment, whatever it skips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from cloudx.domain.errors import InvalidInput

from .zones import require_zone, wall_at

MAX_LENGTH = 200
_RECENT = timedelta(hours=25)  # one that has a tick in so long has few of them there; the others have few at all
_EXAMPLE = 'such as "0 3 * * 1-5" for three o\'clock on weekdays: minute, hour, day of month, month, day of week'


@dataclass(frozen=True)
class Cron:
    """When something is due.

    A time of the wall that a clock change skips is due at the first moment after the change, one that comes twice is
    due the first time. So each time of the wall is due once, and times that fall on one moment are one tick.
    """

    expression: str
    timezone: str

    def after(self, moment: datetime) -> datetime | None:
        """The next tick (UTC); None where there is none in fifty years."""
        return next(self._ticks(moment), None)

    def next_runs(self, moment: datetime, count: int) -> list[datetime]:
        """The next ticks, each with the zone's offset then."""
        return [tick.astimezone(self._zone) for tick in islice(self._ticks(moment), count)]

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last tick (UTC) from `since` on that `until` has reached; None where there was none."""
        for start in sorted({max(since, until - _RECENT), since}, reverse=True):
            last = None
            for tick in self._ticks(start - timedelta(microseconds=1)):
                if tick > until:
                    break
                last = tick
            if last is not None:
                return last
        return None

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def _ticks(self, moment: datetime) -> Iterator[datetime]:
        """Every tick after a moment. CronSim sees times of the wall alone: by itself it has another rule."""
        zone, last = self._zone, moment
        for wall in CronSim(self.expression, moment.astimezone(zone).replace(tzinfo=None)):
            tick = moment_of(wall, zone)
            if tick > last:
                last = tick
                yield tick


def parse_cron(expression: str, timezone: str) -> Cron:
    """A schedule's times. Raises InvalidInput naming the field, with what it takes."""
    require_zone(timezone, "timezone")
    cron = Cron(" ".join(expression.split()), timezone)
    if len(expression) > MAX_LENGTH or len(cron.expression.split()) != 5:
        raise InvalidInput("cron", f"cron takes five fields, {_EXAMPLE}.")
    try:
        comes = cron.after(datetime.now(UTC)) is not None
    except (CronSimError, ValueError, AssertionError) as error:
        reason = f" ({error})" if isinstance(error, CronSimError) else ""
        raise InvalidInput(
            "cron", f"{expression!r} is no cron expression{reason}. It takes five fields, {_EXAMPLE}."
        ) from None
    if not comes:
        raise InvalidInput("cron", f"{expression!r} never comes. It takes five fields, {_EXAMPLE}.")
    return cron


def moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which a clock on the wall first shows this time, or passes it by (PEP 495)."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    return moment if wall_at(moment, zone) == wall else _first_after(wall, moment, zone)


def _first_after(wall: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """The moment of the change that skips a time: the first whose time of the wall is later."""
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if middle <= early:
            break
        early, late = (early, middle) if wall_at(middle, zone) > wall else (middle, late)
    return late
