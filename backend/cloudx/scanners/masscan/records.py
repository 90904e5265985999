"""masscan's NDJSON into findings, fast: a chunk may hold hundreds of thousands of them.

They are read while masscan is still running (it writes them in blocks of 4 KiB), into eight
bytes a reply, and sorted into blocks for the database, so that little is left to do when it ends.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudx.domain.findings import PORT_SHIFT, ROW_SHIFT, Answer, FindingBlock
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
_END_BITS = _SECONDS_BITS + _ANSWER_BITS
_END_MASK = (1 << _END_BITS) - 1
_MAX_SECONDS, _MAX_ANSWERS = (1 << _SECONDS_BITS) - 1, 1 << _ANSWER_BITS
_BLOCK_BITS = 16  # of the numbers of a block's probes: a block takes some MB at most
_BLOCK_FILE, _ANSWERS_FILE = "block", "answers.json"


class Replies:
    """The first reply to each probe of an assignment; read on as the file grows."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._dedup = ReplyDedup(assignment.addresses, assignment.ports)
        self._wanted = assignment.scan_type.protocol.encode()
        self._blocks: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))  # by the upper bits of the probe
        self._unsaved: dict[int, None] = {}  # blocks in the order in which they were first changed
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
            number = probe >> _BLOCK_BITS
            self._blocks[number].append((probe << _SECONDS_BITS | later) << _ANSWER_BITS | answer)
            self._unsaved[number] = None

    def save_one(self, folder: Path) -> None:
        """Leave a block in the run's folder, if any has changed: while masscan waits, there is time for it."""
        for number in self._unsaved:
            self._save(folder, number)
            return

    def save(self, folder: Path) -> None:
        """Leave what is not there yet, for `saved_findings`."""
        for number in tuple(self._unsaved):
            self._save(folder, number)
        answers = [[reason.decode("ascii", "replace"), int(ttl)] for reason, ttl in self._answers]
        saved = {"first_second": self._first_second or 0, "answers": answers, "blocks": sorted(self._blocks)}
        (folder / _ANSWERS_FILE).write_text(json.dumps(saved))

    def _save(self, folder: Path, number: int) -> None:
        """In ascending order, as the parts of a FindingBlock."""
        ports = _all_ports(self._assignment)
        width = len(ports)
        rows: dict[int, int] = {}  # those with a finding, each with its place among them
        ends: dict[int, int] = {}  # the same of what came when
        cells = []
        for reply in sorted(self._blocks[number]):
            row, column = divmod(reply >> _END_BITS, width)
            place = rows.setdefault(row, len(rows)) << ROW_SHIFT | ports[column] << PORT_SHIFT
            cells.append(place | ends.setdefault(reply & _END_MASK, len(ends)))
        parts = [_addresses_of(list(rows), self._assignment), list(ends), cells]
        (folder / f"{_BLOCK_FILE}-{number}").write_text(json.dumps(parts))
        del self._unsaved[number]


def saved_findings(folder: Path, assignment: Assignment) -> Iterator[FindingBlock]:
    """The findings of a run that was saved, in blocks that are ordered by address and port, each within itself too."""
    saved = json.loads((folder / _ANSWERS_FILE).read_text())
    extras = [_extra(reason, ttl) for reason, ttl in saved["answers"]]
    protocol = assignment.scan_type.protocol
    state = "up" if protocol == "icmp" else "open"

    def answer_of(end: int) -> Answer:
        seen_at = datetime.fromtimestamp(saved["first_second"] + (end >> _ANSWER_BITS), UTC)
        return Answer(protocol, state, seen_at, extras[end & _MAX_ANSWERS - 1])

    for number in saved["blocks"]:
        addresses, ends, cells = json.loads((folder / f"{_BLOCK_FILE}-{number}").read_text())
        yield FindingBlock(addresses, list(map(answer_of, ends)), cells)


def _addresses_of(rows: list[int], assignment: Assignment) -> list[int]:
    """The addresses at ascending places."""
    addresses: list[int] = []
    before = rows[0]  # how many addresses come before the range
    for first, last in assignment.addresses.slice(rows[0], rows[-1] - rows[0] + 1).ranges:
        taken = len(addresses)
        end = bisect_left(rows, before + last - first + 1, taken)
        addresses += [first - before + row for row in rows[taken:end]]
        before += last - first + 1
    return addresses


def _all_ports(assignment: Assignment) -> list[int]:
    if assignment.ports is None:
        return [0]  # ICMP has none
    return [port for first, last in assignment.ports.ranges for port in range(first, last + 1)]


def _extra(reason: str, ttl: int) -> dict[str, Any]:
    extra: dict[str, Any] = {"reason": reason} if reason != "none" else {}
    return extra | ({"ttl": ttl} if ttl else {})
