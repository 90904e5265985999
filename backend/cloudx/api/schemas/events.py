"""Events: what changed, as it changes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from cloudx.domain.errors import InvalidInput
from cloudx.domain.events.event import ALL_TYPES, EventType
from cloudx.services.events.feed import PAGE_EVENTS

from .common import Parameters, PlainText

_LARGEST = (1 << 63) - 1
_POSITION = "After which id to go on; without it the events from now on"


class EventsHeaders(Parameters):
    """What a browser sends when it comes back."""

    last_event_id: int | None = Field(None, alias="Last-Event-ID", ge=0, le=_LARGEST, description=_POSITION)


class EventsQuery(Parameters):
    """Which events, and from where on."""

    types: PlainText = Field(",".join(EventType), description="Comma-separated: scan, chunk, node")
    after: int | None = Field(None, ge=0, le=_LARGEST, description=f"{_POSITION}; the header goes first")
    limit: int = Field(PAGE_EVENTS, ge=1, le=PAGE_EVENTS, description="Of a page of JSON")

    def chosen(self) -> frozenset[EventType]:
        """The types as a set. Raises InvalidInput."""
        words = frozenset(word.strip() for word in self.types.split(","))
        if not words <= ALL_TYPES:
            raise InvalidInput("types", "types is a comma-separated list of: " + ", ".join(EventType) + ".")
        return frozenset(map(EventType, words))


class ScanEvent(BaseModel):
    """A scan was submitted, changed its status or was deleted (gone)."""

    type: Literal["scan"]
    id: int
    at: str
    scan_id: str
    status: str
    error: str | None


class ChunkEvent(BaseModel):
    """A worker claimed a chunk (leased), or its attempt ended: as the outcomes in the proof of coverage."""

    type: Literal["chunk"]
    id: int
    at: str
    scan_id: str
    stage: int = Field(description="1, or 2 for what follows on open ports")
    chunk: int
    attempt: int
    node_id: str
    state: str


class NodeEvent(BaseModel):
    """A node's status changed, or it was forgotten (gone)."""

    type: Literal["node"]
    id: int
    at: str
    node_id: str
    status: str
    was: str | None


class EventPage(BaseModel):
    """Events in order; ask again with `after` set to `next_after`."""

    items: list[ScanEvent | ChunkEvent | NodeEvent]
    next_after: int
    reset: bool = Field(description="Events after `after` are gone: read what you show again, and go on from here")
