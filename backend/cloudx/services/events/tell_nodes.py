"""Tell each change of a node's status once, although each process of the API has a view of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from itertools import islice

from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.nodes import NodeStatus
from cloudx.services.fleet.snapshot import FleetSnapshot
from cloudx.services.ledger.ledger import Ledger, OpenLedger

DUTY = "tell nodes"
LOOK_SECONDS = 1.0
HELD_SECONDS = 10.0  # after a holder was killed, the next one takes over so much later
KEEP_SECONDS = 4.0  # a holder that has nothing to tell says so often that it is there
SETTLE_SECONDS = 30.0  # a node that a process has not heard of yet may be about to beat: it beats each 5 s
MOST_AT_ONCE = 10_000  # a transaction has places for 65,535 events


class TellNodes:
    """Compares one process's view with what was told, as long as this process has the duty."""

    def __init__(
        self,
        open_ledger: OpenLedger,
        current: Callable[[], FleetSnapshot],
        clock: Callable[[], float] = time.monotonic,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        """`current` is the fleet as this process sees it."""
        self._open_ledger = open_ledger
        self._current = current
        self._clock = clock
        self._settled_at = clock() + settle_seconds
        self._holder = uuid.uuid4().hex
        self._told: dict[str, NodeStatus] | None = None  # None: it has not got the duty
        self._look_at = clock()  # not before, while there is nothing to tell

    def __call__(self) -> None:
        """One round. Raises DependencyUnavailable."""
        try:
            snapshot = self._current()
        except DependencyUnavailable:
            return  # the process has just started, or the view says itself why there is none
        if snapshot.problem is not None:
            return  # a stale view tells nothing, and who has it should not have the duty
        seen = {each.node.node_id: each.status for each in snapshot.nodes}
        has_news = self._told is not None and self._changes(seen, self._told)
        if not has_news and self._clock() < self._look_at:
            return
        self._look_at = self._clock() + KEEP_SECONDS
        if self._told is None and not self._is_free():
            return
        with self._open_ledger() as ledger:
            if not ledger.duties.take(DUTY, self._holder, HELD_SECONDS):
                self._told = None
                return
            self._told = self._tell(ledger, seen)
            ledger.commit()

    def _is_free(self) -> bool:
        with self._open_ledger(read_only=True) as ledger:
            return ledger.duties.is_free(DUTY, self._holder)

    def _tell(self, ledger: Ledger, seen: Mapping[str, NodeStatus]) -> dict[str, NodeStatus]:
        """What is told by now, once the transaction is kept."""
        told = ledger.told_nodes.all()
        changes = dict(islice(self._changes(seen, told).items(), MOST_AT_ONCE))
        known = {node_id: status for node_id, status in changes.items() if status is not None}
        ledger.told_nodes.save(known)
        for node_id in changes.keys() - known.keys():
            ledger.told_nodes.forget(node_id)
            del told[node_id]
        return told | known

    def _changes(self, seen: Mapping[str, NodeStatus], told: Mapping[str, NodeStatus]) -> dict[str, NodeStatus | None]:
        """What is to be told; None of a node that is gone. Bad news of nodes has to wait until the view has settled."""
        changed: dict[str, NodeStatus | None] = {
            node_id: status for node_id, status in seen.items() if told.get(node_id) is not status
        }
        if self._clock() < self._settled_at:
            return {node_id: status for node_id, status in changed.items() if status is not NodeStatus.OFFLINE}
        return changed | dict.fromkeys(told.keys() - seen.keys())
