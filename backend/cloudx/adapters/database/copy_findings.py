"""COPY of findings into PostgreSQL, fed while the scanner's output is still being parsed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection

from cloudx.domain.chunks import Lease
from cloudx.domain.findings import Finding

_COPY = "COPY findings (scan_id, ip, protocol, port, state, service, hostname, observed_at, node_id, extra) FROM STDIN"
_NULL = "\\N"
# The text format's specials (PostgreSQL manual, COPY, "Text Format"); NUL has no form and is dropped.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": None})
_LINES_PER_READ = 512


class _Rows:
    """A file-like object that formats findings only as fast as the server takes them."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as psycopg2 asks for them; b"" at the end."""
        while len(self._rest) < size:
            more = "".join(line for line, _ in zip(self._lines, range(_LINES_PER_READ), strict=False)).encode()
            if not more:
                break
            self._rest += more
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def copy_rows(connection: Connection, lease: Lease, found: Iterator[Finding], host_names: dict[str, str]) -> int:
    """Stream findings into the table within the connection's transaction; returns how many.

    No conflict can arise: chunks are disjoint, the fence lets one attempt commit,
    and scanners drop duplicates and strays.
    """
    cursor = connection.connection.cursor()
    try:
        cursor.copy_expert(_COPY, _Rows(_lines(lease, found, host_names)))
        return int(cursor.rowcount)
    finally:
        cursor.close()


def _lines(lease: Lease, found: Iterator[Finding], host_names: dict[str, str]) -> Iterator[str]:
    head = f"{lease.scan_id}\t"
    tail = f"\t{_text(lease.node_id)}\t"
    stamp, stamp_text = None, ""
    for one in found:
        if one.observed_at is not stamp:
            stamp, stamp_text = one.observed_at, one.observed_at.isoformat()
        extra = _text(json.dumps(one.extra)) if one.extra else _NULL
        hostname = one.hostname or (host_names.get(one.ip) if host_names else None)
        yield (
            f"{head}{one.ip}\t{one.protocol}\t{one.port}\t{_text(one.state)}\t{_text(one.service)}\t"
            f"{_text(hostname)}\t{stamp_text}{tail}{extra}\n"
        )


def _text(value: str | None) -> str:
    return _NULL if value is None else value.translate(_ESCAPES)
