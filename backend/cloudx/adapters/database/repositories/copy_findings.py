"""COPY of findings into PostgreSQL, while the scanner's output is still being parsed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from socket import inet_ntoa
from typing import Any

import psycopg2
from sqlalchemy import Connection

from cloudx.adapters.database.connection.column_types import plain
from cloudx.adapters.database.connection.outages import translated
from cloudx.domain.chunks import Lease
from cloudx.domain.errors import Conflict
from cloudx.domain.findings import ANSWER_MASK, PORT_MASK, PORT_SHIFT, ROW_SHIFT, Finding, FindingBlock

from .shared_texts import SharedTexts

_COPY = "COPY findings (scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra) FROM STDIN"
_NULL = "\\N"
# The text format's specials (PostgreSQL manual, COPY, "Text Format").
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_LINES_PER_READ = 512
_READ_BYTES = 1 << 16


class _Rows:
    """A file-like object that formats findings only as fast as the server takes them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = b""
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" at the end."""
        try:
            return self._read(size)
        except Exception as error:
            # psycopg2 would report a cancelled query, which looks like an outage of the database.
            self.failure = error
            raise

    def _read(self, size: int) -> bytes:
        while len(self._rest) < size:
            block = "".join(islice(self._lines, _LINES_PER_READ)).encode()
            if not block:
                break
            self._rest += block
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def copy_rows(connection: Connection, lease: Lease, findings: Iterator[Finding | FindingBlock]) -> int:
    """Stream findings into the table within the connection's transaction; return how many.

    No conflict can arise: chunks are disjoint, the fence lets one attempt commit, and scanners drop duplicates and
    strays. Raises Conflict for a scanner's defect, DependencyUnavailable when the server is lost, and passes on what
    `findings` raises.
    """
    rows = _Rows(_lines(lease, findings))
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy sees no statement below, and would have nothing to commit
    cursor = connection.connection.cursor()
    try:
        cursor.copy_expert(_COPY, rows, _READ_BYTES)
        return int(cursor.rowcount)
    except psycopg2.Error as error:
        if rows.failure is not None:
            raise rows.failure from None
        if isinstance(error, psycopg2.IntegrityError):
            reason = str(error).strip().splitlines()[0][:200]
            raise Conflict(
                f"The scanner reported one finding twice ({reason}). This is a defect: please report it."
            ) from error
        raise translated(error) from error
    finally:
        cursor.close()


def _lines(lease: Lease, findings: Iterator[Finding | FindingBlock]) -> Iterator[str]:
    head, tail = f"{lease.scan_id}\t", f"\t{_text(lease.node_id)}\t"
    times, extras = SharedTexts(datetime.isoformat), SharedTexts(_extra_text)
    for finding in findings:
        if isinstance(finding, FindingBlock):
            yield from _lines_of_block(finding, head, tail)
            continue
        service = _NULL if finding.service is None else _text(finding.service)
        hostname = _NULL if finding.hostname is None else _text(finding.hostname)
        yield (
            f"{head}{finding.ip}\t{finding.protocol}\t{finding.port}\t{_text(finding.state)}\t{service}\t"
            f"{hostname}\t{times.of(finding.observed_at)}{tail}{extras.of(finding.extra)}\n"
        )


def _lines_of_block(block: FindingBlock, head: str, tail: str) -> Iterator[str]:
    ends = [
        (
            f"\t{one.protocol}\t",
            f"\t{_text(one.state)}\t{_NULL}\t{_NULL}\t{one.observed_at.isoformat()}{tail}{_extra_text(one.extra)}\n",
        )
        for one in block.answers
    ]
    heads = [f"{head}{inet_ntoa(address.to_bytes(4, 'big'))}" for address in block.addresses]
    for cell in block.cells:
        protocol, end = ends[cell & ANSWER_MASK]
        yield f"{heads[cell >> ROW_SHIFT]}{protocol}{cell >> PORT_SHIFT & PORT_MASK}{end}"


def _extra_text(extra: Mapping[str, Any]) -> str:
    return _text(json.dumps(extra)) if extra else _NULL


def _text(value: str) -> str:
    return value if value.isalnum() and value.isascii() else plain(value).translate(_ESCAPES)
