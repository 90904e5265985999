"""Which nodes can run a scan now, by all that is known of them: heartbeats, Consul's checks, Nomad's word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from cloudx.domain.errors import NoCapableNode
from cloudx.domain.nodes import Check, CheckStatus, Node, capable, word_of
from cloudx.domain.tools import ScanType

from .join import HEARTBEAT, ClusterSnapshot, join_fleet
from .watch import FleetReading

NOT_A_CLIENT = Check(
    "nomad-client",
    "Nomad client",
    CheckStatus.CRITICAL,
    "Nomad does not know this machine, so it cannot start a worker there. Start its Nomad agent",
)


@dataclass(frozen=True)
class KnownFleet:
    """Joins the ledger's nodes with what Consul and Nomad say at the moment."""

    view: Callable[[], ClusterSnapshot] = ClusterSnapshot
    workers_are_dispatched: bool = False

    def of(self, beating: Iterable[Node]) -> list[Node]:
        """Every node that anybody knows, by id."""
        view = self.view()
        return self.judged(join_fleet(beating, view), view)

    def judged(self, joined: Iterable[Node], view: ClusterSnapshot | None = None) -> list[Node]:
        """Where workers are dispatched, a machine without a Nomad client gets none; while Nomad is unheard, all may."""
        view = view or self.view()
        takes_a_client = self.workers_are_dispatched and bool(view.clients)
        return [_judged(node, takes_a_client) for node in joined]


def _judged(node: Node, takes_a_client: bool) -> Node:
    checks = node.checks
    # That we do not hear it we know ourselves, and sooner: after an outage of ours it would keep every node from work.
    if any(word_of(check.name) == HEARTBEAT for check in checks):
        checks = tuple(check for check in checks if word_of(check.name) != HEARTBEAT)
    if takes_a_client and node.client is None:
        checks = (*checks, NOT_A_CLIENT)
    return node if checks is node.checks else replace(node, checks=checks)


@dataclass(frozen=True)
class FitCount:
    """How many nodes can run a scan type now, why none can, and which cannot."""

    nodes: int
    why_none: str = ""
    unfit: frozenset[str] = frozenset()


@dataclass
class CountFit:
    """Counts once for each reading of the fleet and each scan type."""

    reading: Callable[[], FleetReading]
    fleet: KnownFleet
    _counted: FleetReading | None = None
    _known: dict[ScanType, FitCount] = field(default_factory=dict)

    def __call__(self, scan_type: ScanType) -> FitCount:
        """The count. Raises DependencyUnavailable while the fleet has never been read."""
        reading = self.reading()
        if reading is not self._counted:
            self._counted, self._known = reading, {}
        if scan_type not in self._known:
            self._known[scan_type] = self._count(reading, scan_type)
        return self._known[scan_type]

    def _count(self, reading: FleetReading, scan_type: ScanType) -> FitCount:
        nodes = self.fleet.judged(reading.nodes)
        try:
            fit, why_none = capable(nodes, scan_type, reading.now), ""
        except NoCapableNode as error:
            fit, why_none = [], error.message
        unfit = frozenset(node.node_id for node in nodes) - {node.node_id for node in fit}
        return FitCount(len(fit), why_none, unfit)
