"""One process of an API sends a blocking query for all of them: the others read its answers from shared memory.

When that process dies, another one asks.
"""

from __future__ import annotations

import os
import pickle
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from typing_extensions import override

from cloudx.adapters.machine.forked_memory import ForkedMemory
from cloudx.domain.errors import CloudxError, DependencyUnavailable
from cloudx.services.fleet.ports import Answer, BlockingQuery

LOOK_SECONDS = 0.02  # between two looks for a new answer
SILENCE_SECONDS = 5.0  # beyond the query's own wait: then the process that asks hangs

T = TypeVar("T")


@dataclass(frozen=True)
class Publication:
    """What the asking process has heard last. `number` counts its questions, answered anew or not."""

    number: int
    index: int
    is_error: bool
    content: bytes  # the pickled value, or the error's message


class SharedAnswer(ForkedMemory):
    """The memory; `is_mine` says whether this process asks."""

    _HEAD = struct.Struct("=QQqQ?")  # odd while it is written, then number, index, length, is_error

    def write(self, index: int, content: bytes | None, *, is_error: bool = False) -> None:
        """Publish; without content that of before still holds."""
        version, number, _, length, _ = self._head()
        begun, done = version | 1, (version | 1) + 1
        if content is not None:
            os.pwrite(self.file, self._HEAD.pack(begun, number, index, 0, is_error), 0)
            os.pwrite(self.file, content, self._HEAD.size)
            length = len(content)
        os.pwrite(self.file, self._HEAD.pack(done, number + 1, index, length, is_error), 0)

    def number(self) -> int:
        """Of the last publication; 0 before the first."""
        return self._head()[1]

    def read(self) -> Publication | None:
        """The last publication; None while one is being written."""
        head = self._head()
        version, number, index, length, is_error = head
        content = os.pread(self.file, length, self._HEAD.size)
        return None if version % 2 or self._head() != head else Publication(number, index, is_error, content)

    def _head(self) -> tuple[int, int, int, int, bool]:
        read = os.pread(self.file, self._HEAD.size, 0)
        version, number, index, length, is_error = self._HEAD.unpack(read) if read else (0, 0, 0, 0, False)
        return version, number, index, length, is_error


class SharedQuery(BlockingQuery[T]):
    """Implements BlockingQuery for one process of several; `query` asks the server."""

    def __init__(
        self, query: BlockingQuery[T], shared: SharedAnswer, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._query = query
        self._shared = shared
        self._sleep = sleep
        self._seen = 0  # the number of the last publication that this process has taken
        self._published: int | None = None  # the index whose value lies in the memory, written by this process

    @override
    def __call__(self, index: int, wait_seconds: float) -> Answer[T]:
        until = time.monotonic() + wait_seconds + SILENCE_SECONDS
        while not self._shared.is_mine():
            if self._shared.number() > self._seen and (publication := self._shared.read()):
                return self._taken(publication)
            if time.monotonic() > until:
                raise DependencyUnavailable("The process of this API that asks for all of them says nothing.")
            self._sleep(LOOK_SECONDS)
        return self._asked(index, wait_seconds)

    def _taken(self, publication: Publication) -> Answer[T]:
        self._seen = publication.number
        if publication.is_error:
            raise DependencyUnavailable(publication.content.decode())
        # Our own processes wrote it, in memory that no other can open.
        return Answer(publication.index, lambda: pickle.loads(publication.content))  # noqa: S301

    def _asked(self, index: int, wait_seconds: float) -> Answer[T]:
        try:
            answer = self._query(index, wait_seconds)
            if answer.index == self._published:
                self._shared.write(answer.index, None)
                return answer
            value = answer.load()
        except CloudxError as error:
            self._published = None
            self._shared.write(0, error.message.encode(), is_error=True)
            raise
        self._shared.write(answer.index, pickle.dumps(value))
        self._published = answer.index
        return Answer(answer.index, lambda: value)
