"""Events as a stream of text (server-sent events, WHATWG HTML 9.2) and as pages of JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from cloudx.domain.errors import CloudxError, Unauthenticated
from cloudx.domain.events.event import Event, EventType
from cloudx.services.events.feed import Batch, EventFeed

from ..json_codec import encode

ALIVE_SECONDS = 15.0  # between two comments, and between two looks at the listener's credential
RETRY_MILLISECONDS = 2_000  # a browser waits so long before it comes back


def stream_events(
    feed: EventFeed,
    start: Batch,
    types: frozenset[EventType],
    authenticate_again: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """The events of a batch and all that follow, until the process ends, the ledger is away or the credential ends.

    Whoever listens comes back with the last id, and misses nothing.
    """
    batch, epoch, alive_at = start, feed.epoch, clock() + ALIVE_SECONDS
    yield b"retry: %d\n%b" % (RETRY_MILLISECONDS, _at_position(start.after if start.events else start.upto))
    while True:
        if text := _encoded(batch, types):
            yield text
        if feed.is_closed or feed.epoch != epoch:
            return
        if clock() >= alive_at:
            if not _is_still_good(authenticate_again):
                return
            alive_at = clock() + ALIVE_SECONDS
            yield b": still here\n" + _at_position(batch.upto)
        try:
            batch = feed.next(batch.upto, max(0.0, alive_at - clock()))
        except CloudxError:
            return


def show_event(event: Event) -> dict[str, Any]:
    """As programs read it."""
    shown: dict[str, Any] = {"type": event.type, "id": event.id, "at": event.at}
    if event.type is EventType.SCAN:
        return shown | {"scan_id": event.scan_id, "status": event.state, "error": event.detail}
    if event.type is EventType.NODE:
        return shown | {"node_id": event.node_id, "status": event.state, "was": event.detail}
    chunk = {
        "scan_id": event.scan_id,
        "stage": 2 if event.detail else 1,
        "chunk": event.number,
        "attempt": event.attempt,
        "node_id": event.node_id,
    }
    return shown | chunk | {"state": event.state}


def _encoded(batch: Batch, types: frozenset[EventType]) -> bytes:
    """Made once for all listeners that ask for the same types."""
    if batch.is_broken:
        reset = {"type": "reset", "id": batch.upto, "after": batch.after}
        return b"id: %d\nevent: reset\ndata: %b\n\n" % (batch.upto, encode(reset))
    text = batch.encoded.get(types)
    if text is None:
        text = batch.encoded[types] = b"".join(_lines(event) for event in batch.events if event.type in types)
    return text


def _lines(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.type.value.encode(), encode(show_event(event)))


def _at_position(position: int) -> bytes:
    """An id without an event: a browser resumes from it, though nothing that it asked for has happened for hours."""
    return b"id: %d\n\n" % position


def _is_still_good(authenticate_again: Callable[[], object]) -> bool:
    try:
        authenticate_again()
    except Unauthenticated:
        return False
    except CloudxError:
        return True  # nobody can tell now
    return True
