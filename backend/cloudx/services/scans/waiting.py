"""Why a scan does not go faster: for whom it waits, or what its nodes can send."""

from __future__ import annotations

from datetime import datetime, timedelta

from cloudx.domain.nodes import fit_nodes
from cloudx.domain.rates.shares import why_slower
from cloudx.domain.scans import Scan
from cloudx.services.ledger.ledger import Ledger
from cloudx.services.ledger.records import Holder, ScanRecord

NAMED = 3  # of those it waits for
_COUNTED = 100
_FULL_SHARE = 0.5  # of what the fit nodes may send; less than that leaves a scan its part
_PATIENCE = timedelta(seconds=1)  # a worker without work looks for some twice a second


def why_waiting(ledger: Ledger, record: ScanRecord, now: datetime) -> str | None:
    """A sentence with the remedy; None where nothing holds the scan up."""
    if record.scan.status.is_final:
        return None
    return _for_whom(ledger, record, now) or _why_slower(ledger, record.scan, now)


def _for_whom(ledger: Ledger, record: ScanRecord, now: datetime) -> str | None:
    """Whom the nodes send for, where this scan has chunks and none of them is under way."""
    scan, tally = record.scan, record.tally
    if tally.chunks_leased or not tally.chunks_pending or now - scan.created_at < _PATIENCE:
        return None
    holders = [holder for holder in ledger.scans.holders(_COUNTED) if holder.scan_id != scan.id]
    limits = [node.rate_limit_pps for node in fit_nodes(ledger.nodes.all(), scan.type, now)]
    can_pps = sum(limit for limit in limits if limit is not None)
    is_full = None not in limits and sum(holder.granted_pps for holder in holders) >= _FULL_SHARE * can_pps
    if not holders or not is_full:
        return None  # there is room for it: something else holds it up
    named = ", ".join(_named(holder, scan) for holder in holders[:NAMED])
    more = " and others" if len(holders) > NAMED else ""
    return f"It waits for its turn: the nodes send for {named}{more}. Add nodes or stop one of them to have it sooner."


def _named(holder: Holder, scan: Scan) -> str:
    goes_first = f", of priority {holder.priority}" if holder.priority > scan.priority else ""
    return f"scan {holder.scan_id} of {holder.owner}{goes_first}"


def _why_slower(ledger: Ledger, scan: Scan, now: datetime) -> str | None:
    """The reason, where the scan's rate is more than its nodes can send."""
    limits = [node.rate_limit_pps for node in fit_nodes(ledger.nodes.all(), scan.type, now)]
    return why_slower(scan.rate_pps, limits, scan.max_workers)
