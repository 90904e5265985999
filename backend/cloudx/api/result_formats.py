"""Findings as JSON, NDJSON and CSV, in streams of bounded memory."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import ipaddress
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.records import FindingKey, FindingRow

from .json_codec import encode
from .pages import NO_CURSOR

BATCH_ROWS = 500  # one write to the socket
COLUMNS = ("scan_id", "ip", "hostname", "protocol", "port", "state", "service", "observed_at", "node_id")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def show_finding(row: FindingRow) -> dict[str, Any]:
    """A finding in every format; a field that the tool adds never hides a column."""
    return row.extra | {name: getattr(row, name) for name in COLUMNS}


def ndjson_of(rows: Iterable[FindingRow]) -> Iterator[bytes]:
    """One object per line."""
    for batch in _batches(rows):
        yield b"".join(encode(show_finding(row)) + b"\n" for row in batch)


def csv_of(rows: Iterable[FindingRow]) -> Iterator[bytes]:
    """A header line, then one line for each finding; `extra` has the fields that the tool adds, as JSON."""
    yield (",".join((*COLUMNS, "extra")) + "\r\n").encode()
    for batch in _batches(rows):
        text = io.StringIO()
        csv.writer(text).writerows(map(_csv_cells, batch))
        yield text.getvalue().encode()


def _csv_cells(row: FindingRow) -> list[Any]:
    cells = [getattr(row, name) for name in COLUMNS]
    cells[7] = _time_text(row)
    extra = encode(row.extra).decode() if row.extra else ""
    return [guarded(cell) for cell in (*cells, extra)]


def guarded(cell: Any) -> Any:
    """The cell, with a quote before text that a spreadsheet would run as a formula (OWASP: CSV injection)."""
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\0", "")
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _time_text(row: FindingRow) -> str:
    return row.observed_at.isoformat().replace("+00:00", "Z")


def _batches(rows: Iterable[FindingRow]) -> Iterator[list[FindingRow]]:
    ahead = iter(rows)
    while batch := list(islice(ahead, BATCH_ROWS)):
        yield batch


def cursor_of(key: FindingKey | None) -> str | None:
    """A key as an opaque cursor."""
    if key is None:
        return None
    ip, protocol, port = key
    return base64.urlsafe_b64encode(f"{ip} {protocol} {port}".encode()).decode().rstrip("=")


def key_of_cursor(cursor: str | None) -> FindingKey | None:
    """The inverse. Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        ip, protocol, port = text.split(" ")
        key = (str(ipaddress.ip_address(ip)), protocol, int(port))
    except (ValueError, binascii.Error):
        raise InvalidInput("cursor", NO_CURSOR) from None
    if not re.fullmatch("[a-z]{1,8}", protocol) or not 0 <= key[2] <= 65535 or "%" in ip:
        raise InvalidInput("cursor", NO_CURSOR)
    return key
