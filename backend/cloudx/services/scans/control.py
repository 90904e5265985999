"""Stop and delete scans."""

from __future__ import annotations

from cloudx.domain.access import Principal
from cloudx.domain.errors import NotFound
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.end_early import end_early
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.results.keep import keep_results_if_settled


def stop_scan(open_ledger: OpenLedger, scan_id: str, principal: Principal) -> Scan:
    """Stop a scan: its pending chunks are cancelled, and running scanners end at their next renewal (seconds).

    Stopping a final scan changes nothing. Raises NotFound.
    """
    with open_ledger() as ledger:
        scan = ledger.scans.lock(scan_id)
        if scan is None:
            raise scan_not_found(scan_id)
        if not scan.status.is_final:
            scan = end_early(ledger, scan, ScanStatus.STOPPED)
            ledger.audit.record(principal, "scan.stop", scan_id)
            ledger.commit()
    keep_results_if_settled(open_ledger, scan_id)
    return scan


def delete_scan(open_ledger: OpenLedger, scan_id: str, principal: Principal) -> None:
    """Stop a scan and remove it with all its findings. Raises NotFound.

    Two transactions, to avoid a deadlock. A first claim and a stop lock the scan before its chunks, a split and a
    delete lock the chunks before the scan; nothing claims from a stopped scan.
    """
    scan = stop_scan(open_ledger, scan_id, principal)
    with open_ledger() as ledger:
        if not ledger.scans.delete(scan_id):
            raise scan_not_found(scan_id)
        ledger.audit.record(principal, "scan.delete", scan_id, target=scan.target_text, tool=scan.tool)
        ledger.commit()


def scan_not_found(scan_id: str) -> NotFound:
    """The error for an id that no scan has."""
    return NotFound(f"There is no scan {scan_id[:64]!r}. `cloudx scans` and GET /api/scans list them.")
