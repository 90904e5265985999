"""A name server whose answers a test chooses, by UDP. Run as a process: prints `ready`, serves until killed.

Arguments: address, port, seconds before each answer, how many names have to be asked for before the first answer, and
a file of JSON, name → list of addresses. The file is read again when it changes. A name that is not in it does not
exist (RFC 1035, RCODE 3).
"""

from __future__ import annotations

import contextlib
import heapq
import ipaddress
import itertools
import json
import selectors
import socket
import struct
import sys
import time
from pathlib import Path

_HEADER = struct.Struct(">HHHHHH")
_A, _AAAA, _IN = 1, 28, 1
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583  # authoritative, recursion is there
_TTL_SECONDS = 0


class Zone:
    """The names of a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at = -1
        self._names: dict[str, list[str]] = {}

    def addresses_of(self, name: str) -> list[str] | None:
        """None if there is no such name."""
        changed_at = self._file.stat().st_mtime_ns
        if changed_at != self._read_at:
            self._read_at, self._names = changed_at, json.loads(self._file.read_text())
        return self._names.get(name)


def name_in(question: bytes) -> tuple[str, int]:
    """The name that a query asks for (RFC 1035, 4.1.2), and where it ends."""
    labels, at = [], _HEADER.size
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def answer_to(question: bytes, zone: Zone) -> bytes:
    """The answer to a query with one question."""
    name, end = name_in(question)
    kind, _ = struct.unpack_from(">HH", question, end)
    asked = question[_HEADER.size : end + 4]
    addresses = zone.addresses_of(name)
    found = [ipaddress.ip_address(text) for text in addresses or []]
    matching = [one.packed for one in found if (one.version, kind) in ((4, _A), (6, _AAAA))]
    records = [b"\xc0\x0c" + struct.pack(">HHIH", kind, _IN, _TTL_SECONDS, len(data)) + data for data in matching]
    flags = _NO_SUCH_NAME if addresses is None else _ANSWER
    return question[:2] + _HEADER.pack(0, flags, 1, len(records), 0, 0)[2:] + asked + b"".join(records)


def serve(address: str, port: int, delay_seconds: float, together: int, zone: Zone) -> None:
    """Answer for ever; each answer waits by itself, and all of them until so many names were asked for."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    server.bind((address, port))
    server.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    waiting: list[tuple[float, int, bytes, tuple[str, int]]] = []
    names: set[str] = set()
    count = itertools.count()
    print("ready", flush=True)
    while True:
        may_answer = waiting and len(names) >= together
        selector.select(max(0.0, waiting[0][0] - time.monotonic()) if may_answer else None)
        with contextlib.suppress(BlockingIOError):
            while True:
                question, sender = server.recvfrom(4096)
                names.add(name_in(question)[0])
                due = time.monotonic() + delay_seconds
                heapq.heappush(waiting, (due, next(count), answer_to(question, zone), sender))
        while len(names) >= together and waiting and waiting[0][0] <= time.monotonic():
            *_, answer, sender = heapq.heappop(waiting)
            server.sendto(answer, sender)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), Zone(Path(sys.argv[5])))
