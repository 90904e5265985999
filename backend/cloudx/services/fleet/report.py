"""Register a node and take its heartbeats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from typing_extensions import override

from cloudx.domain.beats import beat_seconds
from cloudx.domain.errors import Conflict, NodeNotRegistered
from cloudx.domain.nodes import Heartbeat, Node, Registration
from cloudx.services.ledger.ledger import OpenLedger

from .ports import NodeReporter


def register_node(open_ledger: OpenLedger, registration: Registration, max_nodes: int | None = None) -> bool:
    """Add a node or bring what is known of it up to date; True when it is new.

    Raises Conflict where it would be one more than `max_nodes`.
    """
    with open_ledger() as ledger:
        now = ledger.now()
        known = ledger.nodes.get(registration.node_id)
        if known is None and max_nodes is not None and ledger.nodes.count() >= max_nodes:
            raise Conflict(
                f"There are {max_nodes:,} nodes, as many as CLOUDX_MAX_NODES allows. Forget those that are gone with "
                "`cloudx nodes remove ID`, or raise it."
            )
        node = Node(
            node_id=registration.node_id,
            hostname=registration.hostname,
            ip=registration.ip,
            role=registration.role,
            capabilities=registration.capabilities,
            version=registration.version,
            registered_at=known.registered_at if known else now,
            last_seen=now,
            checks=registration.checks,
            rate_limit_pps=registration.rate_limit_pps,
            reach=registration.reach,
        )
        if known:
            kept = ("cpu", "mem", "loadavg", "updated_at", "beat_seconds")
            node = replace(node, **{name: getattr(known, name) for name in kept})
        ledger.nodes.save(node)
        ledger.commit()
        return known is None


@dataclass(frozen=True)
class TakenBeat:
    """Whether the node's status changed by a heartbeat, and how long it may wait until its next."""

    changed: bool
    next_seconds: float


def beat_node(
    open_ledger: OpenLedger, heartbeat: Heartbeat, fleet_size: int | None = None, before: Node | None = None
) -> TakenBeat:
    """Store a heartbeat, in one statement where the fleet's size is given. Raises NodeNotRegistered.

    `before` is the node as the caller last saw it; None counts as changed.
    """
    with open_ledger(at_once=True) as ledger:
        next_seconds = beat_seconds(ledger.nodes.count() if fleet_size is None else fleet_size)
        node = ledger.nodes.beat(heartbeat, next_seconds)
        ledger.commit()
    if node is None or node.last_seen is None:
        raise NodeNotRegistered(
            f"Node {heartbeat.node_id[:64]!r} is not registered. POST /api/nodes/register first, then beat again."
        )
    changed = before is None or node.status(node.last_seen) is not before.status(node.last_seen)
    return TakenBeat(changed, next_seconds)


@dataclass(frozen=True)
class LedgerReporter(NodeReporter):
    """Reports straight to the ledger: for a worker beside its API, or one that shares its database."""

    open_ledger: OpenLedger

    @override
    def register(self, registration: Registration) -> None:
        register_node(self.open_ledger, registration)

    @override
    def beat(self, heartbeat: Heartbeat) -> float:
        return beat_node(self.open_ledger, heartbeat).next_seconds
