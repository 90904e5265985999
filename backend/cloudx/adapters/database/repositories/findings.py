"""Findings and hosts: bulk writes of one chunk, and pages that cost the same at any depth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, case, func, select, tuple_
from sqlalchemy.dialects import sqlite
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import plain
from cloudx.adapters.database.schema.tables import findings, hosts
from cloudx.domain.chunks import Lease
from cloudx.domain.findings import Finding, FindingBlock, Found, HostFinding
from cloudx.services.ledger.records import FindingKey, FindingRow, HostRow
from cloudx.services.ledger.scans import Findings

from .copy_findings import copy_rows
from .insert_findings import insert_rows
from .server_functions import call

_BATCH = 5_000
_REPLACED = ("state", "service", "observed_at", "node_id", "extra")
_OPTIONAL_OF_HOST = ("hostname", "os_name", "extra")
# In the order of FindingRow's fields: made by position, a row needs no look-up by name.
_SHOWN = [findings.c[field.name] for field in fields(FindingRow)]


class SqlFindings(Findings):
    """Implements Findings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def store(self, lease: Lease, findings: Iterable[Found]) -> int:
        """By COPY on PostgreSQL, in batches and blocks on SQLite."""
        seen_hosts: list[HostFinding] = []
        write = copy_rows if self._connection.dialect.name == "postgresql" else insert_rows
        stored = write(self._connection, lease, _without_hosts(findings, seen_hosts))
        seen_hosts.sort(key=lambda host: host.ip)  # one order, so that two commits never wait for each other
        self._insert_hosts(lease, seen_hosts)
        return stored

    def replace(self, lease: Lease, public_id: str, findings: Iterable[Found]) -> int:
        """Write them in the place of the rows that a scan has of the same ports; returns how many."""
        seen_hosts: list[HostFinding] = []
        kept = replace(lease, scan_id=public_id)
        rows = list(_without_hosts(findings, seen_hosts))
        self._replace_rows(kept, [one for row in rows for one in ([row] if isinstance(row, Finding) else row)])
        seen_hosts.sort(key=lambda host: host.ip)
        self._insert_hosts(kept, seen_hosts)
        return len(rows)

    def _replace_rows(self, lease: Lease, rows: list[Finding]) -> None:
        statement = sqlite.insert(findings)
        told: dict[str, Any] = {name: statement.excluded[name] for name in _REPLACED}
        told["hostname"] = func.coalesce(statement.excluded.hostname, findings.c.hostname)
        statement = statement.on_conflict_do_update(index_elements=list(findings.primary_key.columns), set_=told)
        if rows:
            self._connection.execute(statement, [_finding_values(lease, row) for row in rows])

    def _insert_hosts(self, lease: Lease, seen: list[HostFinding]) -> None:
        """Of a host whose ports were cut several chunks tell: what one of them knows is kept."""
        statement = sqlite.insert(hosts)
        known = {name: func.coalesce(statement.excluded[name], hosts.c[name]) for name in _OPTIONAL_OF_HOST}
        state = case((hosts.c.state == "up", hosts.c.state), else_=statement.excluded.state)
        statement = statement.on_conflict_do_update(index_elements=["scan_id", "ip"], set_={"state": state, **known})
        for start in range(0, len(seen), _BATCH):
            rows = [_host_values(lease, host) for host in seen[start : start + _BATCH]]
            self._connection.execute(statement, rows)

    @override
    def page(self, scan_id: str, after: FindingKey | None, limit: int) -> list[FindingRow]:
        key = tuple_(findings.c.ip, findings.c.protocol, findings.c.port)
        query = select(*_SHOWN).where(findings.c.scan_id == scan_id)
        if after is not None:
            bound = tuple_(*after, types=[findings.c.ip.type, findings.c.protocol.type, findings.c.port.type])
            query = query.where(key > bound)
        query = query.order_by(findings.c.ip, findings.c.protocol, findings.c.port).limit(limit)
        return [finding_row(row) for row in self._connection.execute(query)]

    @override
    def hosts(self, scan_id: str, after_ip: str | None, limit: int) -> list[HostRow]:
        query = select(hosts).where(hosts.c.scan_id == scan_id)
        if after_ip is not None:
            query = query.where(hosts.c.ip > after_ip)
        return [_host_row(row) for row in self._connection.execute(query.order_by(hosts.c.ip).limit(limit)).mappings()]


class PostgresFindings(SqlFindings):
    """Writes hosts by a function of the server, which a worker's login needs (docs/adr/0026)."""

    @override
    def _insert_hosts(self, lease: Lease, seen: list[HostFinding]) -> None:
        for start in range(0, len(seen), _BATCH):
            rows = [_host_values(lease, host) for host in seen[start : start + _BATCH]]
            call(self._connection, "store_hosts", json.dumps([_plain_values(row) for row in rows]))

    @override
    def _replace_rows(self, lease: Lease, rows: list[Finding]) -> None:
        """In key order, so that two commits never wait for each other."""
        rows = sorted(rows, key=lambda row: (row.ip, row.protocol, row.port))
        for start in range(0, len(rows), _BATCH):
            batch = [_plain_values(_finding_values(lease, row)) for row in rows[start : start + _BATCH]]
            call(self._connection, "replace_findings", json.dumps(batch))


def findings_on(connection: Connection) -> SqlFindings:
    """Findings for the database of a connection."""
    return PostgresFindings(connection) if connection.dialect.name == "postgresql" else SqlFindings(connection)


def _plain_values(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: plain(value) for name, value in row.items() if isinstance(value, str)}
    return row | texts | {"observed_at": row["observed_at"].isoformat()}


def _without_hosts(findings: Iterable[Found], seen_hosts: list[HostFinding]) -> Iterator[Finding | FindingBlock]:
    """Pass the findings of ports on as they come, and collect the hosts: nmap alone reports any, and few."""
    for finding in findings:
        if isinstance(finding, HostFinding):
            seen_hosts.append(finding)
        else:
            yield finding


def _host_values(lease: Lease, host: HostFinding) -> dict[str, Any]:
    return {
        "scan_id": lease.scan_id,
        "ip": host.ip,
        "state": host.state,
        "hostname": host.hostname,
        "os_name": host.os_name,
        "observed_at": host.observed_at,
        "node_id": lease.node_id,
        "extra": json.dumps(host.extra) if host.extra else None,
    }


def _finding_values(lease: Lease, finding: Finding) -> dict[str, Any]:
    return {
        **finding._asdict(),
        "scan_id": lease.scan_id,
        "node_id": lease.node_id,
        "extra": json.dumps(dict(finding.extra)) if finding.extra else None,
    }


def finding_row(row: Sequence[Any]) -> FindingRow:
    """Of the columns that FindingRow has, in its order; others may follow."""
    values = list(row[: len(_SHOWN)])
    values[-1] = json.loads(values[-1]) if values[-1] else {}
    return FindingRow(*values)


def _host_row(row: RowMapping) -> HostRow:
    extra = json.loads(row["extra"]) if row["extra"] else {}
    return HostRow(row["ip"], row["state"], row["hostname"], row["os_name"], extra, row["observed_at"])
