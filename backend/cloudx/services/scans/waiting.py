"""Why a scan does not go faster: for whom it waits, or what its nodes can send."""

from __future__ import annotations

from collections.abc import Sequence
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
    scan = record.scan
    if scan.status.is_final:
        return None
    limits = [node.rate_limit_pps for node in fit_nodes(ledger.nodes.all(), scan.type, now)]
    has_waited = now - scan.created_at >= _PATIENCE and not record.tally.chunks_leased
    reason = _for_whom(ledger, scan, limits) if has_waited and record.tally.chunks_pending else None
    return reason or why_slower(scan.rate_pps, limits, scan.max_workers)


def _for_whom(ledger: Ledger, scan: Scan, limits_pps: Sequence[int | None]) -> str | None:
    """Whom the nodes send for; None where there is room for the scan, so that something else holds it up."""
    can_pps = sum(limit or 0 for limit in limits_pps)
    if not can_pps or None in limits_pps:
        return None
    holders = [holder for holder in ledger.scans.holders(_COUNTED) if holder.scan_id != scan.id]
    if sum(holder.granted_pps for holder in holders) < _FULL_SHARE * can_pps:
        return None
    named = ", ".join(_named(holder, scan) for holder in holders[:NAMED])
    more = " and others" if len(holders) > NAMED else ""
    return f"It waits for its turn: the nodes send for {named}{more}. Add nodes or stop one of them to have it sooner."


def _named(holder: Holder, scan: Scan) -> str:
    goes_first = f", of priority {holder.priority}" if holder.priority > scan.priority else ""
    return f"scan {holder.scan_id} of {holder.owner}{goes_first}"
