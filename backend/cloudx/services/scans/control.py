"""Stop, pause, resume and delete scans."""

from __future__ import annotations

from cloudx.domain.access import Principal
from cloudx.domain.errors import NotFound
from cloudx.domain.scans import Scan, ScanStatus
from cloudx.services.chunks.end_early import end_early
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.results.keep import keep_results_if_settled


def stop_scan(open_ledger: OpenLedger, scan_id: str, principal: Principal) -> Scan:
    """Stop a scan: its pending chunks are cancelled, and running scanners end at their next renewal (seconds).

    Stopping a final scan changes nothing. Raises NotFound.
    """
    with open_ledger() as ledger:
        scan = _locked(ledger, scan_id)
        if not scan.status.is_final:
            scan = end_early(ledger, scan, ScanStatus.STOPPED)
            ledger.audit.record(principal, "scan.stop", scan_id)
            ledger.commit()
    keep_results_if_settled(open_ledger, scan_id)
    return scan


def pause_scan(open_ledger: OpenLedger, scan_id: str, principal: Principal) -> Scan:
    """Hold a scan: no chunk of it is leased, and running scanners end at their next renewal (seconds).

    Their chunks go back to the queue and count nothing. Pausing a paused scan changes nothing. Raises NotFound, or
    IllegalTransition where the scan is over.
    """
    with open_ledger() as ledger:
        scan = _locked(ledger, scan_id)
        held = scan.paused(principal.name, ledger.now())
        return _keep_hold(ledger, scan, held, principal, "scan.pause")


def resume_scan(open_ledger: OpenLedger, scan_id: str, principal: Principal) -> Scan:
    """Let a paused scan go on. Raises NotFound, or IllegalTransition where the scan is over."""
    with open_ledger() as ledger:
        scan = _locked(ledger, scan_id)
        return _keep_hold(ledger, scan, scan.resumed(ledger.now()), principal, "scan.resume")


def _locked(ledger: Ledger, scan_id: str) -> Scan:
    scan = ledger.scans.lock(scan_id)
    if scan is None or scan.follows is not None:
        raise scan_not_found(scan_id)
    return scan


def _keep_hold(ledger: Ledger, before: Scan, after: Scan, principal: Principal, action: str) -> Scan:
    if after is not before:
        ledger.scans.save_hold(after)
        ledger.audit.record(principal, action, after.id)
        ledger.dispatches.notify()  # workers come, or go
        ledger.commit()
    return after


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
