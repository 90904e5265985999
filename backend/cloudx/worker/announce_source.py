"""Before the first packet of a run leaves, the ledger knows where it comes from."""

from __future__ import annotations

import threading

import structlog

from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.note_source import note_source
from cloudx.services.chunks.scanner_port import Egress, Machine
from cloudx.services.ledger.ledger import OpenLedger

RETRY_SECONDS = 1.0

log = structlog.get_logger()


def announce_source(
    open_ledger: OpenLedger, claim: Claim, machine: Machine, egress: Egress | None, must_end: threading.Event
) -> None:
    """Note the egress' address, or for nmap the one that the kernel would send from, if it is one for all targets.

    While the database is away it tries again, until the run must end: so it never outlasts the lease. Raises LeaseLost.
    """
    source_ip = egress.source_ip if egress is not None else machine.source_for(claim.addresses)
    while source_ip is not None:
        try:
            return note_source(open_ledger, claim.lease, source_ip)
        except DependencyUnavailable as error:
            log.warning("chunk.start_delayed", reason=error.message, retry_seconds=RETRY_SECONDS)
            if must_end.wait(RETRY_SECONDS):
                return None
    return None
