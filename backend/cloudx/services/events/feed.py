"""Read events once a process, however many listen, and hand the same ones to all of them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from cloudx.domain.errors import RateLimited
from cloudx.domain.events.event import Event, EventType
from cloudx.services.ledger.events import EventPage
from cloudx.services.ledger.ledger import OpenLedger

LOOK_SECONDS = 0.1  # between two looks while somebody listens
PAGE_EVENTS = 1_000
KEPT_EVENTS = 10_000  # in memory, for listeners that lag; what is older they read from the ledger
MAX_LISTENERS = 1_000  # at one process: each holds a connection
MAX_LISTENERS_OF_ONE = 600  # principal
RETRY_SECONDS = 30


@dataclass(frozen=True, eq=False)
class Batch:
    """All events after one position up to another, read at once; `encoded` is whatever its readers made of it."""

    after: int
    upto: int
    events: Sequence[Event]
    is_broken: bool = False
    encoded: dict[frozenset[EventType], bytes] = field(default_factory=dict)

    def since(self, position: int) -> Batch:
        """What of it comes after a position; itself where that is all."""
        if position <= self.after:
            return self
        return Batch(position, self.upto, [event for event in self.events if event.id > position])


class EventFeed:
    """The newest events in memory. A listener has a position and nothing else, so one that is slow costs nobody."""

    def __init__(self, open_ledger: OpenLedger, kept_events: int = KEPT_EVENTS) -> None:
        self._open_ledger = open_ledger
        self._kept_events = kept_events
        self._lock = threading.Lock()
        self._batches: deque[Batch] = deque()
        self._in_memory = 0  # events, over all batches
        self._complete_from = 0  # no event after it is missing in memory
        self._upto = -1  # all events before it were read; below 0: nothing was
        self._moved = threading.Event()
        self._wanted = threading.Event()
        self._places: Counter[str] = Counter()
        self.is_closed = False
        self.epoch = (
            0  # grows when the ledger was exchanged for another one, so that each position has to be tried again
        )

    def read(self) -> None:
        """Read what has come, in rounds; waits while nobody listens. Raises DependencyUnavailable."""
        if not self._wanted.is_set():
            self._wanted.wait()
            self._forget()
        with self._open_ledger(read_only=True) as ledger:
            if self._upto < 0:
                self._start_at(ledger.events.head())
            page = ledger.events.page(self._upto, PAGE_EVENTS)
        if page.is_broken:
            self._forget()
            self.epoch += 1
            self._wake()
        else:
            self._publish(page)

    def head(self) -> int:
        """The position after all events by now, for one who listens from now on. Raises DependencyUnavailable."""
        with self._open_ledger(read_only=True) as ledger:
            return ledger.events.head()

    def page(self, after: int, limit: int = PAGE_EVENTS) -> Batch:
        """The events after a position, out of the ledger. Raises DependencyUnavailable.

        Broken where some of them are gone: then it has none, and the listener goes on from now.
        """
        with self._open_ledger(read_only=True) as ledger:
            page = ledger.events.page(after, limit)
            if page.is_broken:
                return Batch(after, ledger.events.head(), (), is_broken=True)
        return Batch(after, page.upto, page.events)

    def next(self, position: int, wait_seconds: float) -> Batch:
        """What comes after a position, as soon as anything does; after so many seconds a batch without events."""
        with self._lock:
            moved = self._moved
            has_news = self._has_after(position)
        if not has_news and not self.is_closed:
            moved.wait(wait_seconds)
        with self._lock:
            if not self._has_after(position):
                return Batch(position, max(position, self._upto), ())
            if position >= self._complete_from:
                return self._first_after(position).since(position)
        return self.page(position)

    def take_place(self, principal: str) -> None:
        """Count one more who listens. Raises RateLimited."""
        with self._lock:
            if self._places.total() >= MAX_LISTENERS or self._places[principal] >= MAX_LISTENERS_OF_ONE:
                raise RateLimited(
                    f"{self._places.total():,} listen to events at this process of the API already, "
                    f"{self._places[principal]:,} of them with your credential. Close some, or ask with "
                    "`Accept: application/json` at intervals.",
                    retry_after_seconds=RETRY_SECONDS,
                )
            self._places[principal] += 1
            self._wanted.set()

    def leave_place(self, principal: str) -> None:
        """Give a place back."""
        with self._lock:
            self._places[principal] -= 1
            if not self._places[principal]:
                del self._places[principal]
            if not self._places:
                self._wanted.clear()

    def close(self) -> None:
        """Let everybody go: the process is about to end, and any other goes on where they were."""
        self.is_closed = True
        self._wake()

    def _has_after(self, position: int) -> bool:
        newest = self._batches[-1].upto if self._batches else self._complete_from
        return newest > position

    def _first_after(self, position: int) -> Batch:
        """From the newest one back: most listeners have all but that."""
        first = self._batches[-1]
        for batch in reversed(self._batches):
            if batch.upto <= position:
                break
            first = batch
        return first

    def _start_at(self, head: int) -> None:
        with self._lock:
            self._complete_from = self._upto = head
        self._wake()  # who has an earlier position reads on in the ledger

    def _forget(self) -> None:
        """What is in memory is as old as the last listener's leave."""
        with self._lock:
            self._batches.clear()
            self._in_memory, self._upto = 0, -1

    def _publish(self, page: EventPage) -> None:
        with self._lock:
            if page.events:
                self._batches.append(Batch(self._upto, page.upto, page.events))
                self._in_memory += len(page.events)
            self._upto = page.upto
            while self._in_memory > self._kept_events:
                oldest = self._batches.popleft()
                self._in_memory -= len(oldest.events)
                self._complete_from = oldest.upto
        if page.events:
            self._wake()

    def _wake(self) -> None:
        with self._lock:
            moved, self._moved = self._moved, threading.Event()
        moved.set()
