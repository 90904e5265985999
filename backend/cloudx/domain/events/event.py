"""An event: one change of a scan, of an attempt at a chunk or of a node, and its place among all events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PLACES = 1 << 16  # more events than that are not written in one transaction


class EventType(StrEnum):
    """What an event is about."""

    SCAN = "scan"
    CHUNK = "chunk"
    NODE = "node"


ALL_TYPES = frozenset(EventType)


@dataclass(frozen=True)
class Event:
    """`state` is a scan's status, `leased` or an attempt's outcome, or a node's status; `gone` of what was removed.

    `detail` is a failed scan's error, a node's status before, or that a chunk is of a second stage. `id` grows in the
    order in which events are told.
    """

    id: int
    type: EventType
    at: datetime
    state: str
    scan_id: str | None = None
    number: int | None = None  # of the chunk
    attempt: int | None = None
    node_id: str | None = None
    detail: str | None = None


def event_id(transaction_id: int, place: int) -> int:
    """The id of a transaction's event; `place` counts from 1.

    In JavaScript a number is exact below 2**53, which is enough for 137 thousand million transactions.
    """
    return transaction_id * PLACES + place


def last_id_before(transaction_id: int) -> int:
    """No event of an earlier transaction has a greater id, and none of this or a later one a lesser."""
    return transaction_id * PLACES


def place_of(event_id: int) -> tuple[int, int]:
    """The transaction and the place that an id stands for."""
    return divmod(event_id, PLACES)
