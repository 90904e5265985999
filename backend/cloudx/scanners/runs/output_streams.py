"""Both output streams of a running scanner, read as they come so that neither pipe ever fills up."""

from __future__ import annotations

import os
import re
import selectors
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO

_PIECE_BYTES = 1 << 16
_TAIL_BYTES = 4096
_LAST_WORDS_FILE = "last-words"
_MAX_LAST_WORDS = 500
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Source(Enum):
    """Where a piece of output came from; TICK: nothing came for a while."""

    STDOUT = 1
    STDERR = 2
    TICK = 3


def pieces(stdout: IO[bytes], stderr: IO[bytes], tick_seconds: float | None = None) -> Iterator[tuple[Source, bytes]]:
    """What either stream brings until both have ended, at most 64 KiB at a time; a tick in every silence.

    Closes both at the end.
    """
    with selectors.DefaultSelector() as selector, stdout, stderr:
        selector.register(stdout, selectors.EVENT_READ, Source.STDOUT)
        selector.register(stderr, selectors.EVENT_READ, Source.STDERR)
        while selector.get_map():
            ready = selector.select(tick_seconds)
            if not ready:
                yield Source.TICK, b""
            for key, _ in ready:
                data = os.read(key.fd, _PIECE_BYTES)
                if data:
                    yield key.data, data
                else:
                    selector.unregister(key.fileobj)


class Lines:
    """Cuts a stream into lines ended by a newline or a carriage return; an endless line is cut, not kept."""

    def __init__(self, max_bytes: int = 8192) -> None:
        self._rest = b""
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *whole, rest = re.split(rb"[\r\n]+", self._rest + data)
        self._rest = rest[-self._max_bytes :]
        return [line for line in whole if line]


class Tail:
    """The last few KiB that a scanner wrote to stderr."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes) -> None:
        """Remember, and forget what is older than the last few KiB."""
        self._kept = (self._kept + data)[-_TAIL_BYTES:]

    def save(self, folder: Path) -> None:
        """Leave it in the run's folder, for `last_words`."""
        (folder / _LAST_WORDS_FILE).write_bytes(self._kept)


def read_last_words(folder: Path, chatter: re.Pattern[str]) -> str:
    """The last lines that are no mere `chatter`: printable ASCII, at most 500 characters, "" when there are none."""
    try:
        text = (folder / _LAST_WORDS_FILE).read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return ""
    lines = [_UNPRINTABLE.sub(" ", line).strip() for line in re.split(r"[\r\n]+", text)]
    words = " | ".join(line for line in lines if line and not chatter.search(line))
    return words[-_MAX_LAST_WORDS:]
