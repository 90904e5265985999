"""Findings as JSON, NDJSON and CSV, in streams of bounded memory."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from cloudx.domain.errors import InvalidInput
from cloudx.services.ledger.records import FindingKey, FindingRow

from .json_codec import encode
from .pages import NO_CURSOR

_Row = TypeVar("_Row")
BATCH_ROWS = 500  # one write to the socket
COLUMNS = ("scan_id", "ip", "hostname", "protocol", "port", "state", "service", "observed_at", "node_id")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def show_finding(row: FindingRow) -> dict[str, Any]:
    """A finding in every format; a field that the tool adds never hides a column."""
    columns = {  # spelt out: a scan may have millions, and a loop over COLUMNS takes twice as long
        "scan_id": row.scan_id,
        "ip": row.ip,
        "hostname": row.hostname,
        "protocol": row.protocol,
        "port": row.port,
        "state": row.state,
        "service": row.service,
        "observed_at": row.observed_at,
        "node_id": row.node_id,
    }
    return row.extra | columns if row.extra else columns


def ndjson_of(rows: Iterable[FindingRow]) -> Iterator[bytes]:
    """One object per line."""
    for batch in batches(rows):
        yield b"".join(encode(show_finding(row)) + b"\n" for row in batch)


def csv_of(rows: Iterable[FindingRow]) -> Iterator[bytes]:
    """A header line, then one line for each finding; `extra` has the fields that the tool adds, as JSON."""
    yield (",".join((*COLUMNS, "extra")) + "\r\n").encode()
    for batch in batches(rows):
        text = io.StringIO()
        csv.writer(text).writerows(map(csv_cells, batch))
        yield text.getvalue().encode()


def csv_cells(row: FindingRow) -> list[Any]:
    """The columns and `extra`, none of which a spreadsheet takes for a formula."""
    cells = [getattr(row, name) for name in COLUMNS]
    cells[7] = time_text(row.observed_at)
    extra = encode(row.extra).decode() if row.extra else ""
    return [guarded(cell) for cell in (*cells, extra)]


def guarded(cell: Any) -> Any:
    """The cell, with a quote before text that a spreadsheet would run as a formula (OWASP: CSV injection)."""
    if not isinstance(cell, str):
        return cell
    cell = cell.replace("\0", "")
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def time_text(moment: datetime) -> str:
    """As JSON has it."""
    return moment.isoformat().replace("+00:00", "Z")


def batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Lists of BATCH_ROWS, the last one shorter."""
    ahead = iter(rows)
    while batch := list(islice(ahead, BATCH_ROWS)):
        yield batch


def cursor_of(key: FindingKey | None) -> str | None:
    """A key as an opaque cursor."""
    return None if key is None else pack_cursor(*key)


def key_of_cursor(cursor: str | None) -> FindingKey | None:
    """The inverse. Raises InvalidInput."""
    return None if cursor is None else read_key(unpack_cursor(cursor, 3))


def pack_cursor(*words: object) -> str:
    """Words without spaces as an opaque cursor."""
    return base64.urlsafe_b64encode(" ".join(map(str, words)).encode()).decode().rstrip("=")


def unpack_cursor(cursor: str, count: int) -> list[str]:
    """The inverse, for so many words. Raises InvalidInput."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        raise InvalidInput("cursor", NO_CURSOR) from None
    words = text.split(" ")
    if len(words) != count:
        raise InvalidInput("cursor", NO_CURSOR)
    return words


def read_key(words: Sequence[str]) -> FindingKey:
    """The key that three words of a cursor say. Raises InvalidInput."""
    ip, protocol, port = words
    try:
        key = (str(ipaddress.ip_address(ip)), protocol, int(port))
    except ValueError:
        raise InvalidInput("cursor", NO_CURSOR) from None
    if not re.fullmatch("[a-z]{1,8}", protocol) or not 0 <= key[2] <= 65535 or "%" in ip:
        raise InvalidInput("cursor", NO_CURSOR)
    return key
