"""Events in the memory of one process: what a listener gets, whether it keeps up, lags or comes from elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudx.api.live.event_stream import ALIVE_SECONDS, stream_events
from cloudx.domain.errors import DependencyUnavailable, RateLimited, Unauthenticated
from cloudx.domain.events.event import ALL_TYPES, Event, EventType, event_id, last_id_before, place_of
from cloudx.services.events.feed import MAX_LISTENERS, MAX_LISTENERS_OF_ONE, Batch, EventFeed
from cloudx.services.ledger.events import EventPage

AT = datetime(2026, 3, 4, tzinfo=UTC)


@dataclass
class Told:
    """A ledger that tells the events it is given."""

    events: list[Event] = field(default_factory=list)
    is_away: bool = False
    pages_read: int = 0

    def add(self, *ids: int, kind: EventType = EventType.SCAN) -> None:
        self.events += [Event(number, kind, AT, "running", scan_id="s") for number in ids]

    def head(self) -> int:
        return self.events[-1].id if self.events else 0

    def page(self, after: int, limit: int) -> EventPage:
        self.pages_read += 1
        later = [event for event in self.events if event.id > after][:limit]
        return EventPage(later, later[-1].id if len(later) == limit else max(after, self.head()), after > self.head())

    @contextmanager
    def open(self, **_options: bool) -> Iterator[Any]:
        if self.is_away:
            raise DependencyUnavailable("It is away.")
        yield SimpleNamespace(events=self)


def feed_on(told: Told, **options: int) -> EventFeed:
    """One that somebody listens to, so that its rounds read."""
    feed = EventFeed(told.open, **options)
    feed.take_place("ada")
    feed.read()
    return feed


def ids(batch: Batch) -> list[int]:
    return [event.id for event in batch.events]


def follow(feed: EventFeed, position: int) -> list[int]:
    """Everything after a position, as a listener gets it."""
    heard: list[int] = []
    while (batch := feed.next(position, 0)).events:
        heard += ids(batch)
        position = batch.upto
    return heard


@given(st.integers(1, 1 << 40), st.integers(1, (1 << 16) - 1))
def test_an_id_leads_back_to_its_transaction_and_lies_between_its_neighbours(transaction: int, place: int) -> None:
    number = event_id(transaction, place)
    assert place_of(number) == (transaction, place)
    assert last_id_before(transaction) < number < last_id_before(transaction + 1)


def test_all_who_listen_share_one_reading() -> None:
    feed = feed_on(told := Told())
    told.add(1, 2)
    feed.read()
    read = told.pages_read
    first, second = feed.next(0, 0), feed.next(0, 0)
    assert first is second and ids(first) == [1, 2]
    assert told.pages_read == read


def test_a_listener_that_waits_is_woken_by_what_comes() -> None:
    feed = feed_on(told := Told())
    heard: list[Batch] = []
    waiting = threading.Thread(target=lambda: heard.append(feed.next(0, 60)))
    waiting.start()
    told.add(5)
    feed.read()
    waiting.join(60)
    assert [ids(batch) for batch in heard] == [[5]]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 8), st.integers(0, 40), st.booleans())
def test_whatever_is_kept_in_memory_a_listener_gets_each_event_once(
    batches: Sequence[int], kept: int, position: int, reads_late: bool
) -> None:
    feed = feed_on(told := Told(), kept_events=kept)
    for size in batches:
        told.add(*range(told.head() + 1, told.head() + 1 + size))
        if not reads_late:
            feed.read()
    feed.read()
    position = min(position, told.head())
    assert follow(feed, position) == list(range(position + 1, told.head() + 1))


def test_nobody_reads_the_ledger_while_nobody_listens_and_the_next_one_misses_nothing() -> None:
    feed = feed_on(told := Told())
    feed.leave_place("ada")
    rounds = threading.Thread(target=feed.read, daemon=True)
    rounds.start()
    told.add(1)
    read = told.pages_read
    start = feed.head()
    told.add(2, 3)
    assert told.pages_read == read
    feed.take_place("bob")
    rounds.join(60)
    assert follow(feed, start) == [2, 3]


def test_no_one_takes_all_places_and_a_place_given_back_is_free() -> None:
    feed = EventFeed(Told().open)
    for _ in range(MAX_LISTENERS_OF_ONE):
        feed.take_place("ada")
    with pytest.raises(RateLimited, match="application/json"):
        feed.take_place("ada")
    for _ in range(MAX_LISTENERS - MAX_LISTENERS_OF_ONE):
        feed.take_place("bob")
    with pytest.raises(RateLimited):
        feed.take_place("eve")
    feed.leave_place("ada")
    feed.take_place("eve")


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stream(feed: EventFeed, start: Batch, types: frozenset[EventType] = ALL_TYPES, **more: Any) -> Iterator[bytes]:
    return stream_events(feed, start, types, more.get("admit", lambda: None), more.get("clock", Watch()))


def test_a_stream_tells_its_position_then_what_comes_of_the_types_that_were_asked_for() -> None:
    feed = feed_on(told := Told())
    told.add(7, kind=EventType.CHUNK)
    told.add(8)
    feed.read()
    text = stream(feed, Batch(3, 3, ()), frozenset({EventType.SCAN}))
    assert next(text) == b"retry: 2000\nid: 3\n\n"
    data = b'{"type":"scan","id":8,"at":"2026-03-04T00:00:00Z","scan_id":"s","status":"running","error":null}'
    assert next(text) == b"id: 8\nevent: scan\ndata: " + data + b"\n\n"


def test_a_silent_stream_moves_its_listener_on_and_ends_with_its_credential() -> None:
    feed, clock, is_good = feed_on(Told()), Watch(), True
    feed.is_closed = False

    def admit() -> None:
        if not is_good:
            raise Unauthenticated("It was revoked.")

    text = stream(feed, Batch(3, 9, ()), admit=admit, clock=clock)
    assert next(text) == b"retry: 2000\nid: 9\n\n"
    clock.now += ALIVE_SECONDS
    assert next(text) == b": still here\nid: 9\n\n"
    clock.now += ALIVE_SECONDS
    is_good = False
    assert list(text) == []


def test_a_stream_outlives_a_credential_that_cannot_be_looked_up_now() -> None:
    def away() -> None:
        raise DependencyUnavailable("The ledger is away.")

    clock = Watch()
    text = stream(feed_on(Told()), Batch(3, 3, ()), admit=away, clock=clock)
    next(text)
    clock.now += ALIVE_SECONDS
    assert next(text).startswith(b":")


def test_a_stream_ends_when_its_process_does_or_the_ledger_is_away_or_another_one() -> None:
    feed = feed_on(told := Told())
    told.add(1)
    feed.read()
    closed, lagging, moved = (stream(feed, Batch(0, 0, ())) for _ in range(3))
    for text in (closed, lagging, moved):
        next(text)
    feed.close()
    assert list(closed) == []
    feed.is_closed, told.is_away, feed._complete_from = False, True, 1
    assert list(lagging) == []
    told.is_away, told.events = False, []
    feed.read()
    assert list(moved) == []


def test_a_position_that_the_ledger_does_not_know_starts_over_from_now() -> None:
    feed = feed_on(told := Told())
    told.add(1, 2)
    start = feed.page(77)
    assert (start.upto, start.is_broken) == (2, True)
    text = stream(feed, start)
    assert next(text) == b"retry: 2000\nid: 2\n\n"
    assert next(text) == b'id: 2\nevent: reset\ndata: {"type":"reset","id":2,"after":77}\n\n'
