"""The fleet at one moment: its nodes, and what the moment makes of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from cloudx.domain.nodes import Node, NodeStatus


@dataclass(frozen=True)
class FleetReading:
    """The nodes, by id, and `now` by the ledger's clock; `scans_running` by node id, those without one left out."""

    nodes: tuple[Node, ...]
    now: datetime
    scans_running: dict[str, int] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> dict[str, Node]:
        """The nodes by their ids."""
        return {node.node_id: node for node in self.nodes}


@dataclass(frozen=True, eq=False)
class FleetNode:
    """A node at the moment of a snapshot. Compared by identity: what was made of one is found without comparing it."""

    node: Node
    status: NodeStatus
    is_stale: bool
    scans_running: int


@dataclass(frozen=True, eq=False)
class FleetSnapshot:
    """One reading, judged; `problem` says why it is older than it should be, and then every node is stale."""

    reading: FleetReading
    nodes: tuple[FleetNode, ...]
    taken_at: float  # by the watch's monotonic clock, in seconds
    problem: str | None = None

    def node(self, node_id: str) -> FleetNode | None:
        """The node of this id; None when no source knows it."""
        return next((known for known in self.nodes if known.node.node_id == node_id), None)

    def with_problem(self, problem: str) -> FleetSnapshot:
        """The same fleet, marked stale: the last good snapshot is better than none."""
        nodes = tuple(replace(known, is_stale=True) for known in self.nodes)
        return replace(self, nodes=nodes, problem=problem)


def take_snapshot(
    reading: FleetReading, taken_at: float, problem: str | None = None, last: FleetSnapshot | None = None
) -> FleetSnapshot:
    """Judge each node of a reading; those that nothing changed about since the `last` one are the same objects."""
    is_old = problem is not None
    known: dict[int, FleetNode] = {}
    if last is not None and last.reading.now is reading.now and (last.problem is not None) == is_old:
        known = {id(each.node): each for each in last.nodes}
    nodes = tuple(known.get(id(node)) or _judged(node, reading, is_old) for node in reading.nodes)
    return FleetSnapshot(reading, nodes, taken_at, problem)


def _judged(node: Node, reading: FleetReading, is_old: bool) -> FleetNode:
    return FleetNode(
        node,
        status=node.status(reading.now),
        is_stale=is_old or node.is_stale(reading.now),
        scans_running=reading.scans_running.get(node.node_id, 0),
    )
