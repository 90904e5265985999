"""What is kept of events, and of what they told of nodes, as Protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.events.event import Event
from cloudx.domain.nodes import NodeStatus


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


class ToldNodes(Protocol):
    """What the events of nodes have told so far; a change of it writes the event (triggers)."""

    def all(self) -> dict[str, NodeStatus]:
        """The status of each node that was told, by node id."""
        ...

    def save(self, statuses: Mapping[str, NodeStatus]) -> None:
        """Tell these."""
        ...

    def forget(self, node_id: str) -> None:
        """Tell that a node is gone."""
        ...


class Duties(Protocol):
    """What one process at a time does for all; a duty belongs to its holder for some seconds."""

    def is_free(self, name: str, holder: str) -> bool:
        """True where this process holds it, or nobody does."""
        ...

    def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or keep it; False where somebody else holds it. Nobody else can until the transaction is over."""
        ...
