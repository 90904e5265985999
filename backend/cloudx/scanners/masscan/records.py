"""masscan's NDJSON into findings, fast: a chunk may hold hundreds of thousands of them.

They are read while masscan is still running (it writes them in blocks of 4 KiB), into eight
bytes a reply, so that little is left to do when it ends. Sorted, replies are in the order of
the rows' primary key, which a database inserts fastest.
"""

from __future__ import annotations

import json
import re
import socket
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudx.domain.findings import Finding
from cloudx.scanners.runs.reply_dedup import ReplyDedup
from cloudx.services.chunks.scanner_port import Assignment

_READ_BYTES = 1 << 18
# The one shape out-ndjson.c writes for a status record; banners have another rec_type and are left out.
_RECORD = re.compile(
    rb'\{"ip":"([\d.]{7,15})","timestamp":"(\d{1,10})","port":(\d{1,5}),"proto":"(\w+)","rec_type":"status",'
    rb'"data":\{"status":"open","reason":"([^"]*)","ttl":(\d{1,3})\}\}\r?$',
    re.MULTILINE,
)
# A reply's eight bytes, from the top: the probe's number in the chunk, seconds since the first reply, kind of answer.
_SECONDS_BITS, _ANSWER_BITS = 18, 10
_MAX_SECONDS, _MAX_ANSWERS = (1 << _SECONDS_BITS) - 1, 1 << _ANSWER_BITS
_SORTED_REPLIES = 50_000  # at once, which takes 2 MB
_REPLIES_FILE, _ANSWERS_FILE = "replies", "answers.json"


class Replies:
    """The first reply to each probe of an assignment; read on as the file grows."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._dedup = ReplyDedup(assignment.addresses, assignment.ports)
        self._wanted = assignment.scan_type.protocol.encode()
        self._kept = array("Q")
        self._answers: dict[tuple[bytes, bytes], int] = {}
        self._first_second: int | None = None
        self._offset = 0

    def read_on(self, file: Path) -> None:
        """Take in the lines that have been completed since the last call."""
        if not file.exists():
            return
        with open(file, "rb") as opened:
            opened.seek(self._offset)
            while block := opened.read(_READ_BYTES):
                whole = block.rfind(b"\n") + 1
                if not whole:
                    return  # no line is that long: this one is still being written
                self._take(block[:whole])
                self._offset += whole
                opened.seek(self._offset)

    def _take(self, lines: bytes) -> None:
        for ip, seconds, port, protocol, reason, ttl in _RECORD.findall(lines):
            if protocol != self._wanted:
                continue
            probe = self._dedup.probe_of_first_reply(ip, port)
            if probe is None:
                continue
            if self._first_second is None:
                self._first_second = int(seconds)
            later = min(max(int(seconds) - self._first_second, 0), _MAX_SECONDS)
            answer = self._answers.setdefault((reason, ttl), min(len(self._answers), _MAX_ANSWERS - 1))
            self._kept.append((probe << _SECONDS_BITS | later) << _ANSWER_BITS | answer)

    def save(self, folder: Path) -> None:
        """Leave them in the run's folder, for `saved_findings`."""
        answers = [[reason.decode("ascii", "replace"), int(ttl)] for reason, ttl in self._answers]
        (folder / _ANSWERS_FILE).write_text(json.dumps([self._first_second or 0, answers]))
        with open(folder / _REPLIES_FILE, "wb") as file:
            self._kept.tofile(file)


def saved_findings(folder: Path, assignment: Assignment) -> Iterator[Finding]:
    """The findings of a run that was saved, in blocks ordered by address and port; equal answers share a dictionary."""
    first_second, answers = json.loads((folder / _ANSWERS_FILE).read_text())
    extras = [_extra(reason, ttl) for reason, ttl in answers]
    replies = array("Q", (folder / _REPLIES_FILE).read_bytes())
    protocol = assignment.scan_type.protocol
    state = "up" if protocol == "icmp" else "open"
    stamps: dict[int, datetime] = {}
    for start in range(0, len(replies), _SORTED_REPLIES):
        for ip, port, reply in _probes_of(sorted(replies[start : start + _SORTED_REPLIES]), assignment):
            later = reply >> _ANSWER_BITS & _MAX_SECONDS
            stamp = stamps.get(later) or stamps.setdefault(later, datetime.fromtimestamp(first_second + later, UTC))
            yield Finding(ip, protocol, port, state, stamp, None, None, extras[reply & _MAX_ANSWERS - 1])


def _probes_of(replies: list[int], assignment: Assignment) -> Iterator[tuple[str, int, int]]:
    """(address, port, reply) of ascending replies: the ranges of addresses are walked once."""
    ports = _all_ports(assignment)
    ranges = iter(assignment.addresses.ranges)
    first, last, before = 0, -1, 0  # the current range, and how many addresses come before it
    for reply in replies:
        row, column = divmod(reply >> _SECONDS_BITS + _ANSWER_BITS, len(ports))
        while row > before + last - first:
            before += last - first + 1
            first, last = next(ranges)
        yield socket.inet_ntoa((first + row - before).to_bytes(4, "big")), ports[column], reply


def _all_ports(assignment: Assignment) -> list[int]:
    if assignment.ports is None:
        return [0]  # ICMP has none
    return [port for first, last in assignment.ports.ranges for port in range(first, last + 1)]


def _extra(reason: str, ttl: int) -> dict[str, Any]:
    extra: dict[str, Any] = {"reason": reason} if reason != "none" else {}
    return extra | ({"ttl": ttl} if ttl else {})
