"""Read the fleet from the ledger: of a fleet that is known, what has changed alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from typing_extensions import override

from cloudx.domain.nodes import Node
from cloudx.services.ledger.ledger import Ledger, OpenLedger

from .snapshot import FleetReading
from .watch import FleetSource

OVERLAP = timedelta(seconds=5)  # a beat is visible once its transaction has ended, some time after the moment it bears
WHOLE_EVERY = 20  # readings; for what somebody changes by hand in the database


@dataclass
class LedgerFleet(FleetSource):
    """The fleet by its heartbeats alone. Whatever changes a node's row but by hand sets `last_seen`."""

    open_ledger: OpenLedger
    _last: FleetReading | None = field(default=None, init=False)
    _reads: int = field(default=0, init=False)

    @override
    def read(self) -> FleetReading:
        with self.open_ledger(read_only=True) as ledger:
            self._last = FleetReading(self._nodes(ledger), ledger.now(), ledger.nodes.scans_running())
        self._reads += 1
        return self._last

    def _nodes(self, ledger: Ledger) -> tuple[Node, ...]:
        last = self._last
        if last is not None and self._reads % WHOLE_EVERY:
            seen = {node.node_id: node for node in ledger.nodes.seen_since(last.now - OVERLAP)}
            if seen.keys() <= last.by_id.keys() and ledger.nodes.count() == len(last.nodes):
                return tuple(seen.get(node.node_id, node) for node in last.nodes)
        return tuple(ledger.nodes.all())
