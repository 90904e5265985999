"""Tell the waiting workers of a fleet that there may be work, without having each of them look again and again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from cloudx.domain.errors import CloudxError, RateLimited
from cloudx.services.ledger.ledger import OpenLedger

FIRST_WAVE = 16  # workers that are called at once
MAX_WAITING = 3_500  # at one process: each holds a connection, and others need some
MAX_WAITING_OF_A_NODE = 16  # one waits, or a few while an old connection of it is still thought to live
RETRY_SECONDS = 30
LOOKS_PER_SECOND = 5  # of all who wait at one process, that nobody called them for
SHORTEST_REST_SECONDS = 5.0
WAVE_SECONDS = 0.1  # before the next ones, twice as many each time: thousands of looks at once would delay the first


@dataclass(frozen=True)
class WorkNews:
    """What a worker hears: a number that grows with each notice, and how long to rest without one."""

    number: int
    rest_seconds: float


def has_pending_chunks(open_ledger: OpenLedger) -> bool:
    """Whether any scan has a chunk that nobody runs; True where the database does not tell."""
    try:
        with open_ledger(read_only=True) as ledger:
            return any(scan.pending > 0 for scan in ledger.dispatches.snapshot().scans)
    except CloudxError:
        return True


class WorkSignal:
    """What workers wait for, in one process of the API: its number grows with each notice.

    Whoever has seen a number waits for a later one, so that nothing is missed between two waits, at whichever process:
    the numbers are the database's time, and every process hears of every notice.
    """

    def __init__(
        self, has_work: Callable[[], bool] = lambda: True, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`has_work` says after each wave whether there is any left to call the next one for."""
        self._has_work = has_work
        self._sleep = sleep
        self._lock = threading.Lock()
        self._number = 0
        self._to_call = 0  # of those who wait, from the left
        self._waiting: dict[threading.Event, None] = {}  # in the order in which they came
        self._places: Counter[str | None] = Counter()  # taken, by the node whose credential asked
        self.is_closed = False

    def take_place(self, node_id: str | None) -> None:
        """Count one more who waits, by the one node that its credential speaks for, if it does. Raises RateLimited.

        Whoever stole the credential of one node holds few places; a token of the whole fleet may hold all of them.
        """
        with self._lock:
            if self._places.total() >= MAX_WAITING:
                remedy = "Look for work yourself, and start another instance."
                raise RateLimited(
                    f"{MAX_WAITING:,} workers wait at this process of the API already. {remedy}",
                    retry_after_seconds=RETRY_SECONDS,
                )
            if node_id is not None and self._places[node_id] >= MAX_WAITING_OF_A_NODE:
                remedy = "See whether several machines have its NODE_ID."
                raise RateLimited(
                    f"{MAX_WAITING_OF_A_NODE} workers of {node_id[:64]!r} wait already. {remedy}",
                    retry_after_seconds=RETRY_SECONDS,
                )
            self._places[node_id] += 1

    def leave_place(self, node_id: str | None) -> None:
        """Give a place back."""
        with self._lock:
            self._places[node_id] -= 1
            if not self._places[node_id]:
                del self._places[node_id]

    def wait(self, seen: int, seconds: float) -> int:
        """The number as soon as it is above `seen`, or after so many seconds."""
        called = threading.Event()
        with self._lock:
            if self._number > seen or self.is_closed:
                return max(seen, self._number)
            self._waiting[called] = None
        if not called.wait(seconds):
            with self._lock:
                self._waiting.pop(called, None)
        return max(seen, self._number)

    def news(self, seen: int) -> WorkNews:
        """For one who has seen this number; the more wait, the longer each rests between looks of its own."""
        rest_seconds = max(SHORTEST_REST_SECONDS, len(self._waiting) / LOOKS_PER_SECOND)
        return WorkNews(max(seen, self._number), round(rest_seconds, 1))

    def notify(self, number: int) -> None:
        """Call those who wait; of two notices that come in the wrong order, the later one counts too."""
        with self._lock:
            self._number = max(self._number + 1, number)
            is_calling, self._to_call = self._to_call > 0, len(self._waiting)
        if self._to_call and not is_calling:
            threading.Thread(target=self._call_in_waves, name="work-signal", daemon=True).start()

    def close(self) -> None:
        """Let everybody go, and nobody wait from here on: the process is about to end."""
        with self._lock:
            self.is_closed = True
            everybody, self._waiting = self._waiting, {}
        for called in everybody:
            called.set()

    def _call_in_waves(self) -> None:
        size = FIRST_WAVE
        while wave := self._next_wave(size):
            for called in wave:
                called.set()
            size *= 2
            self._sleep(WAVE_SECONDS)
            number = self._number
            if not self._has_work():
                self._leave_the_others(number)

    def _next_wave(self, size: int) -> list[threading.Event]:
        """Those who waited longest; who came after the last notice has seen its number, and is left waiting."""
        with self._lock:
            count = min(size, self._to_call, len(self._waiting))
            self._to_call = self._to_call - count if count else 0
            wave = list(islice(self._waiting, count))
            for called in wave:
                del self._waiting[called]
            return wave

    def _leave_the_others(self, number: int) -> None:
        with self._lock:
            if self._number == number:  # or another notice came meanwhile
                self._to_call = 0
