"""Register a node and take its heartbeats."""

from __future__ import annotations

from dataclasses import replace

from cloudx.domain.errors import NodeNotRegistered
from cloudx.domain.nodes import Heartbeat, Node, Registration
from cloudx.services.ledger.ledger import OpenLedger


def register_node(open_ledger: OpenLedger, said: Registration) -> bool:
    """Add a node or bring what is known of it up to date; True when it is new."""
    with open_ledger() as ledger:
        now = ledger.now()
        known = ledger.nodes.get(said.node_id)
        node = Node(
            node_id=said.node_id,
            hostname=said.hostname,
            ip=said.ip,
            role=said.role,
            capabilities=said.capabilities,
            version=said.version,
            registered_at=known.registered_at if known else now,
            last_seen=now,
            checks=said.checks,
            rate_limit_pps=said.rate_limit_pps,
        )
        if known:
            figures = {"cpu": known.cpu, "mem": known.mem, "loadavg": known.loadavg, "updated_at": known.updated_at}
            node = replace(node, **figures)  # type: ignore[arg-type]
        ledger.nodes.save(node)
        ledger.commit()
        return known is None


def beat_node(open_ledger: OpenLedger, said: Heartbeat) -> bool:
    """Store a heartbeat; True when the node's status changed by it. Raises NodeNotRegistered."""
    with open_ledger() as ledger:
        known = ledger.nodes.get(said.node_id)
        if known is None:
            raise NodeNotRegistered(
                f"Node {said.node_id[:64]!r} is not registered. POST /api/nodes/register first, then beat again."
            )
        now = ledger.now()
        node = replace(
            known,
            last_seen=now,
            reported_status=said.status,
            cpu=said.cpu,
            mem=said.mem,
            loadavg=said.loadavg,
            updated_at=said.updated_at,
        )
        ledger.nodes.save(node)
        ledger.commit()
        return node.status(now) is not known.status(now)


class LedgerReporter:
    """Reports straight to the ledger: for a worker beside its API, or one that shares its database."""

    def __init__(self, open_ledger: OpenLedger) -> None:
        self._open_ledger = open_ledger

    def register(self, said: Registration) -> None:
        """Implements NodeReporter."""
        register_node(self._open_ledger, said)

    def beat(self, said: Heartbeat) -> None:
        """Implements NodeReporter."""
        beat_node(self._open_ledger, said)
