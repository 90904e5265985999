"""Read what a scan found: inline, by page, or as one stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cloudx.domain.tools import Tool
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import FindingKey, FindingRow, HostRow, ScanRecord

from .control import scan_not_found

INLINE_HOSTS = 1000
MAX_INLINE_ROWS = 20_000  # a host may have 65,535 ports: the inline document has to stay small too
STREAM_PAGE = 2_000


@dataclass(frozen=True)
class InlineResults:
    """The document in a scan's `results`; `truncated` when there is more at the results URL."""

    document: dict[str, Any]
    truncated: bool


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
    """One page, and the key to ask for the next with (None at the end). Raises NotFound."""
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


def inline_results(ledger: Ledger, record: ScanRecord) -> InlineResults | None:
    """The results as the frontend reads them; None while there is none."""
    rows = _first_rows(ledger, record.scan.id)
    if record.scan.tool is Tool.NMAP:
        hosts = ledger.findings.hosts(record.scan.id, None, INLINE_HOSTS + 1)
        if not hosts and not rows and not record.scan.status.is_final:
            return None
        return _nmap_document(hosts, rows)
    if not rows and not record.scan.status.is_final:
        return None
    return _ports_document(rows)


def _first_rows(ledger: Ledger, scan_id: str) -> list[FindingRow]:
    """The rows of a little more than INLINE_HOSTS hosts, or of MAX_INLINE_ROWS: no more than is shown is read."""
    rows: list[FindingRow] = []
    hosts: set[str] = set()
    while len(hosts) <= INLINE_HOSTS and len(rows) <= MAX_INLINE_ROWS:
        page = ledger.findings.page(scan_id, key_of(rows[-1]) if rows else None, STREAM_PAGE)
        rows += page
        hosts.update(row.ip for row in page)
        if len(page) < STREAM_PAGE:
            break
    return rows


def _by_host(rows: list[FindingRow]) -> dict[str, list[FindingRow]]:
    return {ip: list(group) for ip, group in groupby(rows, key=lambda row: row.ip)}


def _ports_document(rows: list[FindingRow]) -> InlineResults:
    grouped = _by_host(rows[:MAX_INLINE_ROWS])
    hosts = [
        {"host": ip, "ports": [{"portid": row.port, "state": row.state} for row in found if row.port]}
        for ip, found in list(grouped.items())[:INLINE_HOSTS]
    ]
    return InlineResults({"hosts": hosts}, len(grouped) > INLINE_HOSTS or len(rows) > MAX_INLINE_ROWS)


def _nmap_document(hosts: list[HostRow], rows: list[FindingRow]) -> InlineResults:
    grouped = _by_host(rows[:MAX_INLINE_ROWS])
    shown = [nmap_host(host, grouped.get(host.ip, [])) for host in hosts[:INLINE_HOSTS]]
    return InlineResults({"nmaprun": {"host": shown}}, len(hosts) > INLINE_HOSTS or len(rows) > MAX_INLINE_ROWS)


def nmap_host(host: HostRow, rows: list[FindingRow]) -> dict[str, Any]:
    """One host as nmap's XML would read with plain keys."""
    shown: dict[str, Any] = {
        "address": {"addr": host.ip, "addrtype": "ipv6" if ":" in host.ip else "ipv4"},
        "status": {"state": host.state},
        "hostnames": {"hostname": {"name": host.hostname}} if host.hostname else {},
        "os": {"osmatch": [{"name": host.os_name}] if host.os_name else []},
        "ports": {"port": [_nmap_port(row) for row in rows]},
    }
    return shown


def _nmap_port(row: FindingRow) -> dict[str, Any]:
    service = {"name": row.service} | {k: row.extra[k] for k in ("product", "version", "extrainfo") if k in row.extra}
    return {"portid": row.port, "protocol": row.protocol, "state": {"state": row.state}, "service": service}
