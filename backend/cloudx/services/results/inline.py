"""Read the first findings of a scan: as many as are shown within the scan itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice

from cloudx.domain.tools import Tool
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import FindingRow, HostRow, ShownScan

INLINE_HOSTS = 1000
MAX_INLINE_ROWS = 20_000  # a host may have 65,535 ports
STREAM_PAGE = 2_000
_SPARE_ROWS = 50


@dataclass(frozen=True)
class InlineFindings:
    """The first findings of a scan in address order: as many as are shown within the scan itself.

    `hosts` are at most INLINE_HOSTS, and nmap's alone; `rows` are at most MAX_INLINE_ROWS, for other tools of at most
    INLINE_HOSTS hosts. `truncated`: there is more, by page or as a stream.
    """

    hosts: tuple[HostRow, ...]
    rows: tuple[FindingRow, ...]
    truncated: bool


NOTHING = InlineFindings((), (), truncated=False)


def read_inline(open_ledger: OpenLedger, scan: ShownScan, is_over: bool) -> InlineFindings | None:
    """What is shown within the scan itself; None while nothing was found and the scan is not over."""
    with open_ledger(read_only=True) as ledger:
        rows = _first_rows(ledger, scan.id)
        hosts = ledger.findings.hosts(scan.id, None, INLINE_HOSTS + 1) if scan.tool is Tool.NMAP else []
    if not hosts and not rows and not is_over:
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
        limit = _page_limit(len(rows), len(ips))
        page = ledger.findings.page(scan_id, rows[-1].key if rows else None, limit)
        rows += page
        ips.update(row.ip for row in page)
        if len(page) < limit:
            break
    return rows


def _page_limit(rows: int, hosts: int) -> int:
    """About what is still needed, judged by what has been read: reading rows is most of the work."""
    if not rows:
        return STREAM_PAGE
    return min(STREAM_PAGE, _SPARE_ROWS + (INLINE_HOSTS + 1 - hosts) * rows // hosts)


def _of_first_hosts(rows: list[FindingRow]) -> Iterator[FindingRow]:
    by_host = groupby(rows, key=lambda row: row.ip)
    return chain.from_iterable(group for _, group in islice(by_host, INLINE_HOSTS))
