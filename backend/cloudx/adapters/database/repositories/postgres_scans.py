"""Scans on PostgreSQL, where functions of the server end them."""

from __future__ import annotations

from sqlalchemy import Connection
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import plain
from cloudx.domain.chunks import Lease
from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.records import KeptResults

from .scans import SqlScans
from .server_functions import LEASE_KEY, call, fence_of


class PostgresScans(SqlScans):
    """Ends scans by functions of the server, which a worker's login needs (docs/adr/0026)."""

    @override
    def finish(
        self, scan_id: str, status: ScanStatus, error: str | None, results: KeptResults, lease: Lease | None = None
    ) -> bool:
        return self._end(scan_id, lease, status.value, error if error is None else plain(error), results)

    @override
    def fail(self, lease: Lease, error: str) -> bool:
        return bool(call(self._connection, "fail_scan", *fence_of(lease), plain(error))[0][0])

    @override
    def keep_results(self, scan_id: str, results: KeptResults, lease: Lease | None = None) -> bool:
        return self._end(scan_id, lease, None, None, results)

    def _end(
        self, scan_id: str, lease: Lease | None, status: str | None, error: str | None, results: KeptResults
    ) -> bool:
        settled = (lease.scan_id, lease.span.number) if lease else (None, None)
        kept = (results.packed, results.size, results.truncated)
        return bool(call(self._connection, "end_scan", scan_id, *settled, LEASE_KEY, status, error, *kept)[0][0])


def scans_on(connection: Connection) -> SqlScans:
    """Scans for the database of a connection."""
    return PostgresScans(connection) if connection.dialect.name == "postgresql" else SqlScans(connection)
