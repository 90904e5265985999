"""Follow Consul and Nomad, where they are configured, and say how fresh their answers are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .follow_query import FollowedQuery
from .join import CONSUL, NOMAD, ClusterSnapshot
from .last_verdicts import LastVerdicts
from .ports import BlockingQuery, NodeInstance, NomadClient

Instances = tuple[NodeInstance, ...]
Clients = tuple[NomadClient, ...]


@dataclass(frozen=True)
class SourceFreshness:
    """How one source is: active or error, why, and how many seconds ago its answer was known to hold."""

    status: str
    age_seconds: float | None
    reason: str


class ClusterWatch:
    """The newest answers of both; without either there is nothing to join."""

    def __init__(
        self,
        consul: BlockingQuery[Instances] | None = None,
        nomad: BlockingQuery[Clients] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._verdicts = LastVerdicts()
        self.consul = FollowedQuery(CONSUL, consul, clock) if consul else None
        self.nomad = FollowedQuery(NOMAD, nomad, clock) if nomad else None

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin following, after the fork; `on_change` runs after each change of an answer, in a background thread."""
        for followed in self._followed():
            followed.start(on_change)

    def snapshot(self) -> ClusterSnapshot:
        """What both answered last; waits for neither."""
        instances = self._verdicts.settled((self.consul.state.value if self.consul else None) or (), self._clock())
        clients = self.nomad.state.value if self.nomad else None
        stale = frozenset(followed.name for followed in self._followed() if followed.state.problem is not None)
        return ClusterSnapshot(instances, clients or (), stale)

    def freshness(self) -> dict[str, SourceFreshness]:
        """How fresh each configured source is, by its name."""
        return {followed.name: self._freshness_of(followed) for followed in self._followed()}

    def _freshness_of(self, followed: FollowedQuery[Instances] | FollowedQuery[Clients]) -> SourceFreshness:
        state = followed.state
        age_seconds = None if state.held_at is None else round(self._clock() - state.held_at, 3)
        if state.problem is None:
            return SourceFreshness("active", age_seconds, f"{len(state.value or ())} nodes.")
        shown = "" if age_seconds is None else f" Its view of {age_seconds:.0f} s ago is shown."
        return SourceFreshness("error", age_seconds, state.problem + shown)

    def _followed(self) -> list[FollowedQuery[Instances] | FollowedQuery[Clients]]:
        return [followed for followed in (self.consul, self.nomad) if followed is not None]
