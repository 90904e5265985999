"""masscan's NDJSON into findings, fast: a chunk may hold hundreds of thousands of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudx.domain.findings import Finding
from cloudx.services.scanner_port import Assignment

from .asked_probes import AskedProbes

_READ_BYTES = 1 << 18
# The one shape out-ndjson.c writes for a status record; banners have another rec_type and are left out.
_RECORD = re.compile(
    rb'\{"ip":"([\d.]{7,15})","timestamp":"(\d{1,10})","port":(\d{1,5}),"proto":"(\w+)","rec_type":"status",'
    rb'"data":\{"status":"open","reason":"([^"]*)","ttl":(\d{1,3})\}\}\r?$',
    re.MULTILINE,
)


def read_findings(file: Path, assignment: Assignment) -> Iterator[Finding]:
    """The first reply to each probe of the assignment, in the order they came in."""
    asked = AskedProbes(assignment.addresses, assignment.ports)
    protocol = assignment.scan_type.protocol
    wanted, state = protocol.encode(), "up" if protocol == "icmp" else "open"
    stamp_text, stamp = b"", datetime.now(UTC)
    extras: dict[tuple[bytes, bytes], dict[str, Any]] = {}  # few: shared between findings, never changed
    for block in _whole_lines(file):
        for ip, seconds, port, proto, reason, ttl in _RECORD.findall(block):
            if proto != wanted or not asked.is_first_reply(ip, port):
                continue
            if seconds != stamp_text:
                stamp_text, stamp = seconds, datetime.fromtimestamp(int(seconds), UTC)
            extra = extras.get((reason, ttl))
            if extra is None:
                extra = extras[reason, ttl] = _extra(reason, ttl)
            yield Finding(ip.decode(), protocol, int(port), state, stamp, None, None, extra)


def _extra(reason: bytes, ttl: bytes) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if reason != b"none":
        said["reason"] = reason.decode("ascii", "replace")
    if ttl != b"0":
        said["ttl"] = int(ttl)
    return said


def _whole_lines(file: Path) -> Iterator[bytes]:
    """The file in blocks that end with a line."""
    with open(file, "rb") as opened:
        while block := opened.read(_READ_BYTES):
            yield block + opened.readline()
