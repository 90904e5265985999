"""Read what a scan found: inline, by page, or as one stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, groupby, islice

from cloudx.domain.errors import Conflict, DependencyUnavailable
from cloudx.domain.scans import Scan
from cloudx.domain.tools import Tool
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import FindingKey, FindingRow, HostRow, ScanRecord

from .control import scan_not_found

INLINE_HOSTS = 1000
MAX_INLINE_ROWS = 20_000  # a host may have 65,535 ports
STREAM_PAGE = 2_000


def get_record(open_ledger: OpenLedger, scan_id: str) -> ScanRecord:
    """A scan with its tally. Raises NotFound."""
    with open_ledger(read_only=True) as ledger:
        record = ledger.scans.get(scan_id)
    if record is None:
        raise scan_not_found(scan_id)
    return record


def key_of(row: FindingRow) -> FindingKey:
    """Where a row stands in the order of pages."""
    return row.ip, row.protocol, row.port


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
    return rows[:limit], key_of(rows[limit - 1]) if len(rows) > limit else None


def stream_findings(open_ledger: OpenLedger, scan_id: str) -> Iterator[FindingRow]:
    """Every finding in order. Each page is a transaction of its own, so a slow reader holds no connection."""
    after: FindingKey | None = None
    while True:
        with open_ledger(read_only=True) as ledger:
            rows = ledger.findings.page(scan_id, after, STREAM_PAGE)
        yield from rows
        if len(rows) < STREAM_PAGE:
            return
        after = key_of(rows[-1])


@dataclass(frozen=True)
class InlineFindings:
    """The first findings of a scan in address order: as many as are shown within the scan itself.

    `hosts` are at most INLINE_HOSTS, and nmap's alone; `rows` are at most MAX_INLINE_ROWS, for other tools of at most
    INLINE_HOSTS hosts. `truncated`: there is more, by page or as a stream.
    """

    hosts: tuple[HostRow, ...]
    rows: tuple[FindingRow, ...]
    truncated: bool


def read_inline(open_ledger: OpenLedger, scan: Scan) -> InlineFindings | None:
    """What is shown within the scan itself; None while nothing was found and the scan is not over."""
    with open_ledger(read_only=True) as ledger:
        rows = _first_rows(ledger, scan.id)
        hosts = ledger.findings.hosts(scan.id, None, INLINE_HOSTS + 1) if scan.tool is Tool.NMAP else []
    if not hosts and not rows and not scan.status.is_final:
        return None
    too_many_rows, rows = len(rows) > MAX_INLINE_ROWS, rows[:MAX_INLINE_ROWS]
    if scan.tool is Tool.NMAP:
        shown_hosts = tuple(hosts[:INLINE_HOSTS])
        return InlineFindings(shown_hosts, tuple(rows), too_many_rows or len(hosts) > len(shown_hosts))
    shown = tuple(_of_first_hosts(rows))
    return InlineFindings((), shown, too_many_rows or len(rows) > len(shown))


def _first_rows(ledger: Ledger, scan_id: str) -> list[FindingRow]:
    """The rows of a little more than INLINE_HOSTS hosts, or of MAX_INLINE_ROWS: no more than is shown is read."""
    rows: list[FindingRow] = []
    ips: set[str] = set()
    while len(ips) <= INLINE_HOSTS and len(rows) <= MAX_INLINE_ROWS:
        page = ledger.findings.page(scan_id, key_of(rows[-1]) if rows else None, STREAM_PAGE)
        rows += page
        ips.update(row.ip for row in page)
        if len(page) < STREAM_PAGE:
            break
    return rows


def _of_first_hosts(rows: list[FindingRow]) -> Iterator[FindingRow]:
    by_host = groupby(rows, key=lambda row: row.ip)
    return chain.from_iterable(group for _, group in islice(by_host, INLINE_HOSTS))


def recall_document(open_ledger: OpenLedger, scan_id: str) -> bytes | None:
    """What `keep_document` kept for a scan, by whichever process; None when there is nothing."""
    with open_ledger(read_only=True) as ledger:
        return ledger.scans.cached_results(scan_id)


def keep_document(open_ledger: OpenLedger, scan_id: str, document: bytes) -> None:
    """Keep what was made of a finished scan's inline findings, for every process, until the scan is deleted.

    It is a cache: when the database is busy, another process was first or the scan is gone, nothing is kept.
    """
    with suppress(DependencyUnavailable, Conflict), open_ledger() as ledger:
        if ledger.scans.lock(scan_id) is not None:
            ledger.scans.cache_results(scan_id, document)
            ledger.commit()
