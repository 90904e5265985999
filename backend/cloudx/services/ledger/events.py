"""What is kept of events, as a Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.events.event import Event


@dataclass(frozen=True)
class EventPage:
    """The events after a position, in order; the next page begins after `upto`.

    `is_broken`: events between the position and this page are not kept any more, or the position is of another ledger.
    """

    events: Sequence[Event]
    upto: int
    is_broken: bool = False


class Events(Protocol):
    """One row for each change, written by the transaction that makes the change.

    Triggers write them, so that no statement forgets one. A position is the id of an event or lies between two.
    """

    def head(self) -> int:
        """The position after all events that can be told by now.

        An event is told once no transaction can commit one with a lesser id any more.
        """
        ...

    def page(self, after: int, limit: int) -> EventPage:
        """At most `limit` events after a position."""
        ...

    def remove_before(self, before: datetime, limit: int) -> int:
        """Remove about that many of the oldest, if they are older; returns how many, 0 at last."""
        ...
