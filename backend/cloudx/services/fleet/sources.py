"""Follow Consul and Nomad, where they are configured, and say how fresh what they said is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .follow_query import FollowedQuery
from .join import CONSUL, NOMAD, ClusterSnapshot
from .ports import BlockingQuery, NodeInstance, NomadClient

Instances = tuple[NodeInstance, ...]
Clients = tuple[NomadClient, ...]


@dataclass(frozen=True)
class SourceFreshness:
    """How one source is: active or error, and how many seconds ago its view was known to hold."""

    status: str
    age_seconds: float | None
    reason: str


class ClusterWatch:
    """The newest view of both; without either there is nothing to join."""

    def __init__(
        self,
        consul: BlockingQuery[Instances] | None = None,
        nomad: BlockingQuery[Clients] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.consul = FollowedQuery(CONSUL, consul, clock) if consul else None
        self.nomad = FollowedQuery(NOMAD, nomad, clock) if nomad else None

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin following, after the fork."""
        for followed in self._followed():
            followed.start(on_change)

    def view(self) -> ClusterSnapshot:
        """What both said last; waits for nobody."""
        instances = self.consul.view.value if self.consul else None
        clients = self.nomad.view.value if self.nomad else None
        stale = frozenset(one.name for one in self._followed() if one.view.problem is not None)
        return ClusterSnapshot(instances or (), clients or (), stale)

    def freshness(self) -> dict[str, SourceFreshness]:
        """By name, those that are configured."""
        return {followed.name: self._freshness_of(followed) for followed in self._followed()}

    def _freshness_of(self, followed: FollowedQuery[Instances] | FollowedQuery[Clients]) -> SourceFreshness:
        view = followed.view
        age_seconds = None if view.held_at is None else round(self._clock() - view.held_at, 3)
        if view.problem is None:
            return SourceFreshness("active", age_seconds, f"{len(view.value or ())} nodes.")
        shown = "" if age_seconds is None else f" Its view of {age_seconds:.0f} s ago is shown."
        return SourceFreshness("error", age_seconds, view.problem + shown)

    def _followed(self) -> list[FollowedQuery[Instances] | FollowedQuery[Clients]]:
        return [followed for followed in (self.consul, self.nomad) if followed is not None]
