"""Which nodes can run a scan now, by all that is known of them: heartbeats, Consul's checks, Nomad's clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from cloudx.domain.errors import NoCapableNode
from cloudx.domain.nodes import Check, CheckStatus, Node, capable, word_of
from cloudx.domain.tools import ScanType

from .join import HEARTBEAT, ClusterSnapshot, join_fleet
from .snapshot import FleetReading

NOT_A_CLIENT = Check(
    "nomad-client",
    "Nomad client",
    CheckStatus.CRITICAL,
    "Nomad does not know this machine, so it cannot start a worker there. Start its Nomad agent",
)


@dataclass(frozen=True)
class KnownFleet:
    """Joins the ledger's nodes with what Consul and Nomad say at the moment."""

    cluster: Callable[[], ClusterSnapshot] = ClusterSnapshot
    workers_are_dispatched: bool = False

    def of(self, beating: Iterable[Node]) -> list[Node]:
        """Every node that any source knows, by id, with the checks that decide whether it gets work."""
        cluster = self.cluster()
        return self.judged(join_fleet(beating, cluster), cluster)

    def judged(self, joined: Iterable[Node], cluster: ClusterSnapshot | None = None) -> list[Node]:
        """Nodes that are joined already, with the checks that decide whether each gets work.

        Where workers are dispatched, a machine without a Nomad client gets none. While Nomad does not answer, all may.
        """
        cluster = cluster or self.cluster()
        needs_client = self.workers_are_dispatched and bool(cluster.clients)
        return [_judged(node, needs_client) for node in joined]


def _judged(node: Node, needs_client: bool) -> Node:
    checks = node.checks
    # Whether we hear a node we know ourselves, and sooner: after an outage of ours its check would keep it from work.
    if any(word_of(check.name) == HEARTBEAT for check in checks):
        checks = tuple(check for check in checks if word_of(check.name) != HEARTBEAT)
    if needs_client and node.client is None:
        checks = (*checks, NOT_A_CLIENT)
    return node if checks is node.checks else replace(node, checks=checks)


@dataclass(frozen=True)
class FitCount:
    """How many nodes can run a scan type now, why none can, and the ids of those that cannot."""

    nodes: int
    why_none: str = ""
    unfit: frozenset[str] = frozenset()


@dataclass
class _LastCounts:
    """The counts of one reading of the fleet, by scan type."""

    reading: FleetReading | None = None
    by_type: dict[ScanType, FitCount] = field(default_factory=dict)


@dataclass(frozen=True)
class CountFit:
    """Counts once for each reading of the fleet and each scan type."""

    reading: Callable[[], FleetReading]
    fleet: KnownFleet
    _last: _LastCounts = field(default_factory=_LastCounts)

    def __call__(self, scan_type: ScanType) -> FitCount:
        """The count. Raises DependencyUnavailable while the fleet has never been read."""
        reading, last = self.reading(), self._last
        if reading is not last.reading:
            last.reading, last.by_type = reading, {}
        if scan_type not in last.by_type:
            last.by_type[scan_type] = self._count(reading, scan_type)
        return last.by_type[scan_type]

    def _count(self, reading: FleetReading, scan_type: ScanType) -> FitCount:
        nodes = self.fleet.judged(reading.nodes)
        try:
            fit, why_none = capable(nodes, scan_type, reading.now), ""
        except NoCapableNode as error:
            fit, why_none = [], error.message
        unfit = frozenset(node.node_id for node in nodes) - {node.node_id for node in fit}
        return FitCount(len(fit), why_none, unfit)
