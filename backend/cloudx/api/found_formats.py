"""What the search finds as JSON, NDJSON and CSV, and the cursor that leads from page to page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.sightings import FoundRow, Place

from .json_codec import encode
from .pages import NO_CURSOR
from .result_formats import COLUMNS, batches, csv_cells, pack_cursor, show_finding, time_text, unpack_cursor

_SEEN = ("first_seen", "last_seen")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MICROSECONDS = 230_000_000_000_000_000  # the year 9258
_MOST_ID = (1 << 63) - 1


def show_found(row: FoundRow, latest: bool) -> dict[str, Any]:
    """A finding; of the latest of a port also when it was seen first and last."""
    finding = show_finding(row.finding)
    return finding | {"first_seen": row.first_seen, "last_seen": row.finding.observed_at} if latest else finding


def ndjson_of_found(rows: Iterable[FoundRow], latest: bool) -> Iterator[bytes]:
    """One object per line."""
    for batch in batches(rows):
        yield b"".join(encode(show_found(row, latest)) + b"\n" for row in batch)


def csv_of_found(rows: Iterable[FoundRow], latest: bool) -> Iterator[bytes]:
    """A header line, then one line for each finding."""
    yield (",".join((*COLUMNS, "extra", *(_SEEN if latest else ()))) + "\r\n").encode()
    for batch in batches(rows):
        text = io.StringIO()
        csv.writer(text).writerows(_cells(row, latest) for row in batch)
        yield text.getvalue().encode()


def _cells(row: FoundRow, latest: bool) -> list[Any]:
    seen = [time_text(row.first_seen), time_text(row.finding.observed_at)] if latest else []
    return [*csv_cells(row.finding), *seen]


def place_cursor(place: Place | None) -> str | None:
    """A place as an opaque cursor."""
    if place is None:
        return None
    return pack_cursor((place.observed_at - _EPOCH) // timedelta(microseconds=1), place.id)


def read_place(cursor: str | None) -> Place | None:
    """The inverse. Raises InvalidInput."""
    if cursor is None:
        return None
    at, number = unpack_cursor(cursor, 2)
    return Place(_EPOCH + timedelta(microseconds=_whole(at, _MOST_MICROSECONDS)), _whole(number, _MOST_ID))


def _whole(word: str, most: int) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(most)) and int(word) <= most):
        raise InvalidInput("cursor", NO_CURSOR)
    return int(word)
