"""End a scan before its chunks are done: what is pending is cancelled, runs end at their next renewal."""

from __future__ import annotations

from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.results.keep import keep_results_if_settled


def end_early(ledger: Ledger, scan: Scan, status: ScanStatus, error: str | None = None) -> Scan:
    """Write a locked scan's end, without committing it. Raises IllegalTransition where it has ended."""
    now = ledger.now()
    ended = scan.moved_to(status, now, error)
    second = ledger.scans.lock(scan.followed_by) if scan.followed_by else None
    for stage in (second.moved_to(status, now, error), ended) if second else (ended,):
        ledger.scans.save_state(stage)
        ledger.chunks.cancel_pending(stage.id)
    ledger.dispatches.notify()
    return ended


def stop_over_budget(open_ledger: OpenLedger) -> None:
    """Stop the scans whose budget of time is used up; what they found until then is kept."""
    with open_ledger(read_only=True) as ledger:
        overdue = ledger.scans.over_budget(ledger.now())
    for scan_id in overdue:
        with open_ledger() as ledger:
            scan = ledger.scans.lock(scan_id)
            if scan is None or scan.status.is_final:
                continue
            error = (
                f"Its budget of {scan.budget_seconds:,} s was used up. What it found until then is kept, and its "
                "coverage says what was not reached; scan again with a larger budget_seconds, or a higher rate."
            )
            end_early(ledger, scan, ScanStatus.STOPPED, error)
            ledger.commit()
        keep_results_if_settled(open_ledger, scan_id)
