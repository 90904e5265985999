"""Read an expiry as people write it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from cloudx.domain.errors import InvalidInput

_LENGTH = re.compile(r"(\d{1,5})([mhdw])\Z", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
REMEDY = "Write 90m, 12h, 30d, 4w, a date (2027-01-31) or a time (2027-01-31T18:00:00Z)."


def parse_expiry(text: str | None, now: datetime) -> str | None:
    """Return the ISO time in UTC that `30d`, a date (its end) or a time stands for. Raises InvalidInput."""
    if text is None:
        return None
    length = _LENGTH.match(text.strip())
    try:
        moment = now + timedelta(**{_UNITS[length[2]]: int(length[1])}) if length else _moment(text.strip())
    except (ValueError, OverflowError):
        raise InvalidInput("expires_at", f"{text[:40]!r} is no time. {REMEDY}") from None
    if moment <= now:
        raise InvalidInput("expires_at", f"{text[:40]!r} lies in the past. {REMEDY}")
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    """A date counts to its end; a time without a zone is in this machine's."""
    moment = datetime.fromisoformat(text)
    if len(text) <= len("2027-01-31"):
        moment += timedelta(days=1)
    return moment.astimezone() if moment.tzinfo is None else moment
