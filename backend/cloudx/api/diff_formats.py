"""What changed between two scans as JSON, NDJSON and CSV, and the cursor that leads from page to page."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from typing import Any

from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.records import FindingKey, FindingRow
from cloudx.services.scans.comparison import DiffItem, DiffSummary
from cloudx.services.scans.diff import DiffPage

from .json_codec import encode
from .pages import NO_CURSOR
from .result_formats import COLUMNS, batches, csv_cells, pack_cursor, read_key, show_finding, unpack_cursor

_KEY_COLUMNS = ("ip", "protocol", "port")
_CELLS = (*COLUMNS, "extra")
_PLACES = [place for place, name in enumerate(_CELLS) if name not in _KEY_COLUMNS]
CSV_COLUMNS = ("change", *_KEY_COLUMNS, *(f"{side}_{_CELLS[at]}" for side in ("before", "after") for at in _PLACES))
_NOTHING = [""] * len(_PLACES)
_CURSOR_WORDS = 9
_MOST = (1 << 63) - 1  # what a database counts to


def show_page(page: DiffPage, cursor: str | None) -> dict[str, Any]:
    """One page, with the summary over everything."""
    return {
        "from": page.before_id,
        "to": page.after_id,
        "summary": page.summary,
        "items": [show_item(item) for item in page.items],
        "next_cursor": cursor,
    }


def show_item(item: DiffItem) -> dict[str, Any]:
    """One change, with both findings."""
    ip, protocol, port = item.key
    return {
        "change": item.change,
        "ip": ip,
        "protocol": protocol,
        "port": port,
        "before": None if item.before is None else show_finding(item.before),
        "after": None if item.after is None else show_finding(item.after),
    }


def ndjson_of_diff(items: Iterable[DiffItem]) -> Iterator[bytes]:
    """One object per line."""
    for batch in batches(items):
        yield b"".join(encode(show_item(item)) + b"\n" for item in batch)


def csv_of_diff(items: Iterable[DiffItem]) -> Iterator[bytes]:
    """A header line, then one line for each change; the cells of a finding that is not there are empty."""
    yield (",".join(CSV_COLUMNS) + "\r\n").encode()
    for batch in batches(items):
        text = io.StringIO()
        csv.writer(text).writerows(map(_cells, batch))
        yield text.getvalue().encode()


def _cells(item: DiffItem) -> list[Any]:
    return [item.change.value, *item.key, *_side(item.before), *_side(item.after)]


def _side(row: FindingRow | None) -> list[Any]:
    if row is None:
        return _NOTHING
    cells = csv_cells(row)
    return [cells[place] for place in _PLACES]


def diff_cursor_of(page: DiffPage) -> str | None:
    """Where the page ended, and its summary: the next page does not count again."""
    if page.following is None:
        return None
    return pack_cursor(*page.following, _check_of(page.before_id, page.after_id), *astuple(page.summary))


def read_diff_cursor(cursor: str | None, before_id: str, after_id: str) -> tuple[FindingKey | None, DiffSummary | None]:
    """The inverse, for the same two scans. Raises InvalidInput."""
    if cursor is None:
        return None, None
    *key, check, opened, closed, changed, unchanged, not_observed = unpack_cursor(cursor, _CURSOR_WORDS)
    counts = [_count(word) for word in (opened, closed, changed, unchanged, not_observed)]
    if check != str(_check_of(before_id, after_id)):
        raise InvalidInput("cursor", NO_CURSOR)
    return read_key(key), DiffSummary(*counts)


def _check_of(before_id: str, after_id: str) -> int:
    """Tells a cursor of other scans, or of these in the other order."""
    return zlib.crc32(f"{before_id} {after_id}".lower().replace("-", "").encode())


def _count(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(_MOST)) and int(word) <= _MOST):
        raise InvalidInput("cursor", NO_CURSOR)
    return int(word)
