"""Which nodes can run a scan now, by all that is known of them: heartbeats, Consul's checks, Nomad's word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cloudx.domain.nodes import Check, CheckStatus, Node

from .join_fleet import ClusterView, join_fleet

NOT_A_CLIENT = Check(
    "nomad-client",
    "Nomad client",
    CheckStatus.CRITICAL,
    "Nomad does not know this machine, so it cannot start a worker there. Start its Nomad agent",
)


@dataclass(frozen=True)
class KnownFleet:
    """Joins the ledger's nodes with what Consul and Nomad say at the moment."""

    view: Callable[[], ClusterView] = ClusterView
    workers_are_dispatched: bool = False

    def of(self, beating: Iterable[Node]) -> list[Node]:
        """Every node that anybody knows, by id."""
        view = self.view()
        return self.judged(join_fleet(beating, view), view)

    def judged(self, joined: Iterable[Node], view: ClusterView | None = None) -> list[Node]:
        """Where workers are dispatched, a machine without a Nomad client gets none; while Nomad is unheard, all may."""
        view = view or self.view()
        if not (self.workers_are_dispatched and view.clients):
            return list(joined)
        return [node if node.client else replace(node, checks=(*node.checks, NOT_A_CLIENT)) for node in joined]
