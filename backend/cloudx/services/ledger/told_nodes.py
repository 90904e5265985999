"""The status of each node as it was told last, and who may tell the next one, as Protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cloudx.domain.nodes import NodeStatus


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
