"""Allowed hours as people write and read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudx.domain.errors import InvalidInput
from cloudx.domain.timing.hours import DAYS

_TAKES = "Write hours as 22:00-06:00, or with days before them: mon-fri 18:00-24:00, sat,sun 00:00-24:00."


def hours_of(texts: Sequence[str], timezone: str) -> dict[str, Any]:
    """The field of a scope's body; empty where there are none. Raises InvalidInput."""
    windows = [_window(text) for text in texts]
    return {"allowed_hours": {"timezone": timezone, "windows": windows}} if windows else {}


def hours_text(hours: dict[str, Any] | None) -> str:
    """What `list` shows."""
    if hours is None:
        return "always"
    windows = [f"{_days_text(one['days'])}{one['from']}-{one['to']}" for one in hours["windows"]]
    return f"{'; '.join(windows)} {hours['timezone']}"


def _window(text: str) -> dict[str, Any]:
    days, _, times = text.strip().lower().rpartition(" ")
    start, dash, end = times.partition("-")
    if not dash:
        raise InvalidInput("hours", f"{text[:40]!r} are no hours. {_TAKES}")
    return {"from": start, "to": end} | ({"days": _days(days)} if days else {})


def _days(text: str) -> list[str]:
    chosen: list[str] = []
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise InvalidInput("hours", f"{part[:20]!r} is no day. {_TAKES}")
        start = DAYS.index(first)
        count = (DAYS.index(last) - start) % 7 + 1 if dash else 1
        chosen += [DAYS[(start + step) % 7] for step in range(count)]
    return list(dict.fromkeys(chosen))


def _days_text(days: Sequence[str]) -> str:
    return "" if len(days) == len(DAYS) else f"{','.join(days)} "
