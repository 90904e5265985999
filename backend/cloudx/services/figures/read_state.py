"""The ledger's state joined with the fleet's: what waits and why, how late leases are, what of the rate is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cloudx.domain.errors import DependencyUnavailable
from cloudx.domain.nodes import NodeStatus
from cloudx.domain.operating.rate_use import RateBand, bands_of
from cloudx.domain.operating.waiting import Waiting, WaitReason, wait_reason
from cloudx.domain.tools import UNBOUNDED_PPS, ScanType
from cloudx.services.fleet.fit import FitCount
from cloudx.services.fleet.snapshot import FleetSnapshot
from cloudx.services.ledger.figures import LedgerState, OpenScanFigures
from cloudx.services.ledger.ledger import OpenLedger

STATE_SECONDS = 10.0  # between two readings


@dataclass(frozen=True)
class Waits:
    """The scans of which nothing runs, by reason, and how long ago the first of each came."""

    scans: Mapping[WaitReason, int]
    oldest_seconds: Mapping[WaitReason, float]


@dataclass(frozen=True)
class RateUse:
    """Packets per second: granted over all nodes, and to scans that asked for a rate; and what both may have."""

    nodes_granted_pps: int
    nodes_limit_pps: int
    scans_granted_pps: int
    scans_limit_pps: int
    nodes_by_band: Mapping[RateBand, int]


@dataclass(frozen=True)
class StateFigures:
    """What is published of one reading."""

    ledger: LedgerState
    chunks_pending: Mapping[str, int]  # by tool
    waits: Waits
    rate: RateUse


@dataclass
class ReadState:
    """Reads it while `is_mine`, and tells the listeners. Raises DependencyUnavailable."""

    open_ledger: OpenLedger
    fleet: Callable[[], FleetSnapshot]
    count_fit: Callable[[ScanType], FitCount]
    is_mine: Callable[[], bool]
    listeners: list[Callable[[StateFigures], None]] = field(default_factory=list)

    def __call__(self) -> None:
        """One reading."""
        if not self.is_mine():
            return
        with self.open_ledger(read_only=True) as ledger:
            state = ledger.figures.state()
        figures = self._figures(state)
        for listener in self.listeners:
            listener(figures)

    def _figures(self, state: LedgerState) -> StateFigures:
        pending: Counter[str] = Counter()
        for scan in state.scans:
            pending[scan.type.tool.value] += scan.chunks_pending
        rate = self._rate_use(state)
        return StateFigures(state, pending, self._waits(state, rate), rate)

    def _rate_use(self, state: LedgerState) -> RateUse:
        limits = self._limits()
        with_rate = [scan for scan in state.scans if scan.rate_pps < UNBOUNDED_PPS]
        return RateUse(
            nodes_granted_pps=sum(state.granted_pps.values()),
            nodes_limit_pps=sum(limits.values()),
            scans_granted_pps=sum(scan.granted_pps for scan in with_rate),
            scans_limit_pps=sum(scan.rate_pps for scan in with_rate),
            nodes_by_band=bands_of((state.granted_pps.get(node, 0), limit) for node, limit in limits.items()),
        )

    def _limits(self) -> dict[str, int]:
        """What each node that is not offline may send, by id; those that told no limit left out."""
        try:
            nodes = self.fleet().nodes
        except DependencyUnavailable:  # the fleet has not been read yet
            return {}
        return {
            each.node.node_id: each.node.rate_limit_pps
            for each in nodes
            if each.status is not NodeStatus.OFFLINE and each.node.rate_limit_pps is not None
        }

    def _waits(self, state: LedgerState, rate: RateUse) -> Waits:
        counted: Counter[WaitReason] = Counter()
        oldest: dict[WaitReason, float] = {}
        for scan in state.scans:
            reason = wait_reason(self._waiting(scan, state.now, rate))
            if reason is not None:
                counted[reason] += 1
                oldest[reason] = max(oldest.get(reason, 0.0), _seconds_since(scan.created_at, state.now))
        return Waits(
            {reason: counted[reason] for reason in WaitReason},
            {reason: oldest.get(reason, 0.0) for reason in WaitReason},
        )

    def _waiting(self, scan: OpenScanFigures, now: datetime, rate: RateUse) -> Waiting:
        may_wait = scan.chunks_pending and not scan.chunks_leased
        return Waiting(
            age_seconds=_seconds_since(scan.created_at, now),
            chunks_pending=scan.chunks_pending,
            chunks_leased=scan.chunks_leased,
            is_held=scan.is_held,
            fit_nodes=self.count_fit(scan.type).nodes if may_wait else 0,
            is_held_by_nomad=scan.is_held_by_nomad,
            is_backing_off=scan.is_backing_off,
            granted_to_others_pps=rate.nodes_granted_pps - scan.granted_pps,
            nodes_may_send_pps=rate.nodes_limit_pps,
        )


def _seconds_since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
