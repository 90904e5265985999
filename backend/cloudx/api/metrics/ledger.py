"""The ledger's state and what has been done. One process of each instance publishes it, after each of its rounds.

Every instance has the same state, so queries take the `max` over them, and no sum. What thousands of nodes or scans
have is published as a sum or by band, never one each.
"""

from __future__ import annotations

import time
from datetime import datetime

from prometheus_client import Counter, Gauge

from cloudx.domain.dispatch.states import DispatchOutcome, DispatchState
from cloudx.domain.scans import ScanStatus
from cloudx.domain.tools import Tool
from cloudx.services.figures.read_state import RateUse, StateFigures, Waits
from cloudx.services.ledger.figures import LeaseFigures, Total, TotalKey, Totals


def _gauge(name: str, words: str, *labels: str) -> Gauge:
    return Gauge(f"cloudx_{name}", words, labels, multiprocess_mode="mostrecent")


READ_AT = _gauge("ledger_read_timestamp_seconds", "When the ledger's state was read last")
SCANS = _gauge("scans", "Scans by status", "status")
WAITING = _gauge("scans_waiting", "Open scans of which nothing runs, by the reason", "reason")
WAITING_OLDEST = _gauge(
    "scans_waiting_oldest_seconds", "Age of the oldest scan of which nothing runs, by the reason", "reason"
)
PENDING = _gauge("chunks_pending", "Chunks of open scans that wait for a worker", "tool")
LEASED = _gauge("chunks_leased", "Chunks that workers hold now")
OVERDUE = _gauge("leases_overdue", "Leases that have run out and that nobody has taken back yet")
OVERDUE_AGE = _gauge("lease_overdue_oldest_seconds", "Time since the first of the overdue leases ran out; 0: none")
RENEWAL_AGE = _gauge(
    "lease_renewal_age_seconds",
    "Time since a lease was claimed or renewed: of the one longest ago (oldest) and the last one (newest)",
    "which",
)
GRANTED = _gauge(
    "rate_granted_packets_per_second", "Granted to chunks that send, of all nodes and of scans with a rate", "of"
)
LIMIT = _gauge(
    "rate_limit_packets_per_second", "What nodes that are not offline may send, and what open scans asked for", "of"
)
BANDS = _gauge("nodes_by_rate_used", "Nodes by the share of their limit that is granted", "used")
DISPATCHES = _gauge("dispatches_in_flight", "Scan workers asked of Nomad that have not ended", "state")

_TOOL, _OUTCOME, _BOTH = ("tool",), ("outcome",), ("tool", "outcome")


def _counter(name: str, words: str, labels: tuple[str, ...]) -> tuple[Counter, tuple[str, ...]]:
    return Counter(f"cloudx_{name}_total", words, labels), labels


_COUNTERS = {
    Total.CHUNKS: _counter("chunks_settled", "Chunks that are over", _BOTH),
    Total.ATTEMPTS: _counter("chunk_attempts", "Tries at chunks that have ended", _BOTH),
    Total.RETRIES: _counter("chunk_retries", "Tries at chunks beyond the first of each", _TOOL),
    Total.UNITS: _counter("units_settled", "Probes (nmap: hosts) accounted for", _BOTH),
    Total.PACKETS: _counter("packets_sent", "Probes that left, as the kernel counted them", _TOOL),
    Total.FINDINGS: _counter("findings_stored", "Findings stored", _TOOL),
    Total.DISPATCHES: _counter("dispatches_ended", "Scan workers of Nomad that ended", _OUTCOME),
}
_KNOWN_OUTCOMES = {
    Total.CHUNKS: ("done", "failed"),
    Total.ATTEMPTS: ("done", "failed", "lost", "released", "stopped"),
    Total.RETRIES: ("",),
    Total.UNITS: ("completed", "failed", "excluded"),
    Total.PACKETS: ("",),
    Total.FINDINGS: ("",),
}


def start_counters() -> None:
    """Let the counters begin at 0: Prometheus takes no first value for a growth."""
    for tool in Tool:
        for total, outcomes in _KNOWN_OUTCOMES.items():
            for outcome in outcomes:
                _add(TotalKey(total, tool.value, outcome), 0)
    for ended in DispatchOutcome:
        _add(TotalKey(Total.DISPATCHES, "", ended.value), 0)


def publish_state(figures: StateFigures) -> None:
    """Set every gauge, the zeros too: what was there before would stay."""
    state = figures.ledger
    for status in ScanStatus:
        SCANS.labels(status.value).set(state.scans_by_status.get(status.value, 0))
    for tool in Tool:
        PENDING.labels(tool.value).set(figures.chunks_pending.get(tool.value, 0))
    for dispatch in (DispatchState.RESERVED, DispatchState.SENT):
        DISPATCHES.labels(dispatch.value).set(state.dispatches.get(dispatch.value, 0))
    _publish_waits(figures.waits)
    _publish_leases(state.leases, state.now)
    _publish_rate(figures.rate)
    READ_AT.set(time.time())


def _publish_waits(waits: Waits) -> None:
    for reason, scans in waits.scans.items():
        WAITING.labels(reason.value).set(scans)
        WAITING_OLDEST.labels(reason.value).set(waits.oldest_seconds[reason])


def _publish_leases(leases: LeaseFigures, now: datetime) -> None:
    LEASED.set(leases.held)
    OVERDUE.set(leases.overdue)
    OVERDUE_AGE.set(_age(leases.first_ran_out_at, now))
    RENEWAL_AGE.labels("oldest").set(_age(leases.renewed_first_at, now))
    RENEWAL_AGE.labels("newest").set(_age(leases.renewed_last_at, now))


def _publish_rate(rate: RateUse) -> None:
    GRANTED.labels("nodes").set(rate.nodes_granted_pps)
    GRANTED.labels("scans").set(rate.scans_granted_pps)
    LIMIT.labels("nodes").set(rate.nodes_limit_pps)
    LIMIT.labels("scans").set(rate.scans_limit_pps)
    for band, nodes in rate.nodes_by_band.items():
        BANDS.labels(band.value).set(nodes)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def add_totals(added: Totals) -> None:
    """Count what has been done since the last look."""
    for key, many in added.items():
        _add(key, many)


def _add(key: TotalKey, many: int) -> None:
    counter, labels = _COUNTERS[key.total]
    counter.labels(*(getattr(key, label) for label in labels)).inc(many)
