"""Return the chunks of silent workers to the queue, and split the chunks that keep a scan waiting."""

from __future__ import annotations

from cloudx.domain.chunks import MAX_FAILURES, ChunkState, Lease, Verdict
from cloudx.services.ledger.ledger import Ledger, OpenLedger

from .end_early import stop_over_budget
from .finish import finish_scan_if_done
from .split import split_returned, split_stragglers

RECONCILE_SECONDS = 2.0  # between two rounds of a process
MAX_ATTEMPTS = 20  # a chunk that kills each of its workers fails in the end


def reconcile_scans(open_ledger: OpenLedger) -> int:
    """Return expired leases to the queue; returns how many. Safe to run anywhere, at any time, by many at once.

    It also ends the scans whose last worker died before it could end them, and those over their budget.
    """
    with open_ledger() as ledger:
        expired = ledger.chunks.expired()
        # Sorted, so that concurrent reconcilers lock scans in one order; a second stage comes before its first.
        scan_ids = sorted({lease.scan_id for lease in expired}, reverse=True)
        for scan_id in scan_ids:
            ledger.scans.lock(scan_id)  # lock order: the scan before its chunks, as a stop does
        for lease in expired:
            _take_back(ledger, lease)
        for scan_id in scan_ids:
            split_returned(ledger, scan_id, gone={lease.node_id for lease in expired})
        if expired:
            ledger.dispatches.notify()
        ledger.commit()
        ledger.stages.give_whole_rate()
        ledger.commit()
        finishable = ledger.scans.finishable()
    for scan_id in finishable:
        finish_scan_if_done(open_ledger, scan_id)
    stop_over_budget(open_ledger)
    split_stragglers(open_ledger)
    return len(expired)


def _take_back(ledger: Ledger, lease: Lease) -> None:
    if lease.attempt < MAX_ATTEMPTS:
        ledger.chunks.release(lease, "lost")
        return
    error = f"{lease.attempt} workers were lost while running it; the last on {lease.node_id}."
    ledger.chunks.record_failure(lease, Verdict(ChunkState.FAILED, MAX_FAILURES, (lease.node_id,)), error)
