"""The hours of a scan: those of all scopes that have a part of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cloudx.domain.scans import Scan
from cloudx.domain.scopes import Scope, with_hours
from cloudx.domain.timing.holds import Hold
from cloudx.domain.timing.hours import AllowedHours, next_opening, opening_of
from cloudx.domain.timing.zones import in_words, wall_time


def held_by_hours(scan: Scan, scopes: Iterable[Scope], now: datetime) -> Hold:
    """The scan's hold with the opening that these scopes give it; unchanged where that is what it has."""
    opening = opening_of(_hours(with_hours(scopes, scan.addresses, scan.host_names, now)), now)
    hold = scan.hold
    has_opened = hold.opens_at is not None and hold.opens_at <= now
    if ((None if has_opened else hold.opens_at), hold.closes_at) == (opening.opens_at, opening.closes_at):
        return hold
    return hold.within(opening.opens_at, opening.closes_at, now, scan.started_at)


def why_closed(scan: Scan, scopes: Iterable[Scope], now: datetime) -> str | None:
    """Which scopes' hours a scan waits for, and until when; None where all of them are open."""
    limiting = with_hours(scopes, scan.addresses, scan.host_names, now)
    hours = _hours(limiting)
    closed = [one for one in limiting if one.allowed_hours and not one.allowed_hours.is_open(now)]
    if not closed:
        return None
    which = " and ".join(map(_named, closed[:2])) + (" and others" if len(closed) > 2 else "")
    opens_at = next_opening(hours, now)
    if opens_at is None:
        return f"Waits for the hours of {which}, which are never all open at once. Change the hours of one of them."
    zone = hours[limiting.index(closed[0])].timezone
    return (
        f"Waits for the hours of {which}: opens {wall_time(opens_at, zone, now)} {zone}, in {in_words(opens_at - now)}."
    )


def _hours(scopes: Iterable[Scope]) -> list[AllowedHours]:
    return [scope.allowed_hours for scope in scopes if scope.allowed_hours is not None]


def _named(scope: Scope) -> str:
    return f"scope {scope.id} of {scope.owner}"
