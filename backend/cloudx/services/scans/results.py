"""Read what a scan found, by page or as one stream."""

from __future__ import annotations

from collections.abc import Iterator

from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.records import FindingKey, FindingRow, HostRow, ScanRecord

from .control import scan_not_found

STREAM_PAGE = 2_000


def get_record(open_ledger: OpenLedger, scan_id: str) -> ScanRecord:
    """A scan with its tally. Raises NotFound."""
    with open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
    if record is None:
        raise scan_not_found(scan_id)
    return record


def page_findings(
    open_ledger: OpenLedger, scan_id: str, after: FindingKey | None, limit: int
) -> tuple[list[FindingRow], FindingKey | None]:
    """At most `limit` rows from the one behind `after` on, and the `after` of the next page, None at the end.

    Raises NotFound.
    """
    with open_ledger(read_only=True) as ledger:
        if ledger.scans.get(scan_id) is None:
            raise scan_not_found(scan_id)
        rows = ledger.findings.page(scan_id, after, limit + 1)
    return rows[:limit], rows[limit - 1].key if len(rows) > limit else None


def stream_findings(open_ledger: OpenLedger, scan_id: str, after: FindingKey | None = None) -> Iterator[FindingRow]:
    """Every finding behind `after`, in order.

    Each page is a transaction of its own, so a slow reader holds no connection.
    """
    while True:
        with open_ledger(read_only=True) as ledger:
            rows = ledger.findings.page(scan_id, after, STREAM_PAGE)
        yield from rows
        if len(rows) < STREAM_PAGE:
            return
        after = rows[-1].key


def stream_hosts(open_ledger: OpenLedger, scan_id: str) -> Iterator[HostRow]:
    """What nmap says of each host as a whole, in address order, a page a transaction."""
    after: str | None = None
    while True:
        with open_ledger(read_only=True) as ledger:
            rows = ledger.findings.hosts(scan_id, after, STREAM_PAGE)
        yield from rows
        if len(rows) < STREAM_PAGE:
            return
        after = rows[-1].ip
