"""Note the address that the packets of an attempt come from, for whoever asks later who probed an address."""

from __future__ import annotations

from cloudx.domain.chunks import Lease
from cloudx.domain.errors import LeaseLost
from cloudx.services.ledger.ledger import OpenLedger


def note_source(open_ledger: OpenLedger, lease: Lease, source_ip: str) -> None:
    """Keep it with the attempt; what was noted first stays. Raises LeaseLost or DependencyUnavailable."""
    with open_ledger(at_once=True) as ledger:
        if not ledger.chunks.note_source(lease, source_ip):
            raise LeaseLost(f"Chunk {lease.span.number} of scan {lease.scan_id}: the lease is gone.")
        ledger.commit()
