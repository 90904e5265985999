"""What is older than it is kept, as the ledger removes it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class OldRecords(Protocol):
    """What is older than it is kept, and its removal in parts."""

    def scans_over_before(self, before: datetime, limit: int) -> list[str]:
        """Scans that were over by then, oldest first."""
        ...

    def count_scans_over_before(self, before: datetime) -> int:
        """How many those are."""
        ...

    def remove_rows_of(self, scan_id: str, limit: int) -> int:
        """Remove that many findings, hosts, attempts or chunks of a scan that is over; returns how many, 0 at last."""
        ...

    def count_audit_before(self, before: datetime) -> int:
        """How many entries of the audit trail are older."""
        ...

    def remove_audit_before(self, before: datetime, limit: int) -> int:
        """Remove that many of them; returns how many, 0 at last."""
        ...
