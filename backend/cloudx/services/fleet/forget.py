"""Forget nodes that are gone: one at an admin's word, all those that have been silent for long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cloudx.domain.access import ITSELF, Principal
from cloudx.domain.errors import Conflict, NotFound
from cloudx.services.ledger.ledger import OpenLedger

LOOK_SECONDS = 60.0


def forget_node(open_ledger: OpenLedger, principal: Principal, node_id: str) -> None:
    """Forget a node that is silent. Raises NotFound, or Conflict while it beats: it would be back at once."""
    with open_ledger() as ledger:
        node = ledger.nodes.get(node_id)
        if node is None:
            raise NotFound(
                f"No node {node_id[:64]!r} has registered. `cloudx nodes` and GET /api/nodes list them; one that only "
                "Consul or Nomad knows goes by `consul force-leave` or `nomad system gc`."
            )
        silent_seconds = node.silent_seconds(ledger.now())
        if silent_seconds <= node.gone_after_seconds:
            raise Conflict(
                f"Node {node_id[:64]!r} beat {max(0, silent_seconds):.0f} s ago. Stop its worker or agent (and revoke "
                f"its token if it is not yours any more), then ask again after {node.gone_after_seconds:.0f} s."
            )
        ledger.nodes.delete(node_id)
        ledger.audit.record(principal, "node.delete", node_id, hostname=node.hostname, ip=node.ip)
        ledger.commit()


@dataclass(frozen=True)
class ForgetSilentNodes:
    """Forgets the nodes that have been silent for so long; their number."""

    open_ledger: OpenLedger
    after_seconds: float

    def __call__(self) -> int:
        """Each is forgotten, and in the audit, once, however many processes look. Raises DependencyUnavailable."""
        longest = timedelta(seconds=self.after_seconds)
        with self.open_ledger(read_only=True) as ledger:  # it never waits for a writer
            if not ledger.nodes.silent_since(ledger.now() - longest):
                return 0
        with self.open_ledger() as ledger:
            gone = ledger.nodes.silent_since(ledger.now() - longest)
            forgotten = [node_id for node_id in gone if ledger.nodes.delete(node_id)]
            for node_id in forgotten:
                ledger.audit.record(ITSELF, "node.prune", node_id, silent_seconds=self.after_seconds)
            ledger.commit()
        return len(forgotten)
