"""Settle a chunk: complete it with what was found, fail it, or give it back. Each counts at most once."""

from __future__ import annotations

from collections.abc import Iterable

from cloudx.domain.chunks import ChunkState, Lease, after_failure
from cloudx.domain.errors import LeaseLost
from cloudx.domain.findings import Observation
from cloudx.domain.scans import ScanStatus

from .claim_chunk import Claim
from .ports import Ledger, OpenLedger
from .records import Tally


def complete_chunk(open_ledger: OpenLedger, claim: Claim, observations: Iterable[Observation]) -> int:
    """Store a chunk's observations and mark it done in one transaction; returns how many findings.

    Raises LeaseLost, having written nothing, when another attempt owns the chunk
    by now: the fence that makes every chunk count exactly once.
    """
    with open_ledger() as ledger:
        if not ledger.chunks.finish(claim.lease, claim.excluded_units):
            raise _lost(claim.lease)
        stored = ledger.findings.store(claim.lease, observations, claim.scan.host_names)
        # The scan's row is locked last and briefly: others go on claiming during the bulk write.
        tally = ledger.scans.settle_units(
            claim.lease.scan_id,
            completed=claim.units - claim.excluded_units,
            failed=0,
            excluded=claim.excluded_units,
            done=1,
            dead=0,
        )
        finish_if_settled(ledger, claim.lease.scan_id, tally)
        ledger.commit()
        return stored


def fail_chunk(open_ledger: OpenLedger, claim: Claim, error: str) -> ChunkState:
    """Record a failed run: the chunk waits for another try, or is failed for good. Raises LeaseLost."""
    lease = claim.lease
    with open_ledger() as ledger:
        known = ledger.chunks.failures_of(lease)
        if known is None:
            raise _lost(lease)
        verdict = after_failure(*known, lease.node_id)
        ledger.chunks.record_failure(lease, verdict, error)
        if verdict.state is ChunkState.FAILED:
            settle_dead(ledger, lease)
        ledger.commit()
        return verdict.state


def release_chunk(open_ledger: OpenLedger, claim: Claim) -> None:
    """Give an unfinished chunk back at once, for whoever comes next; a lost one is nobody's loss."""
    with open_ledger() as ledger:
        ledger.chunks.release(claim.lease, "released")
        ledger.commit()


def settle_dead(ledger: Ledger, lease: Lease) -> None:
    """Count a chunk that is failed for good."""
    tally = ledger.scans.settle_units(lease.scan_id, completed=0, failed=lease.span.units, excluded=0, done=0, dead=1)
    finish_if_settled(ledger, lease.scan_id, tally)


def finish_if_settled(ledger: Ledger, scan_id: str, tally: Tally) -> None:
    """End the scan when its last chunk is settled; the scan's row is locked by the counters before."""
    if tally.chunks_done + tally.chunks_failed < tally.chunks_total:
        return
    scan = ledger.scans.lock(scan_id)
    if scan is None or scan.status.is_final:
        return
    if tally.chunks_failed == 0:
        ledger.scans.save_state(scan.moved_to(ScanStatus.COMPLETED, ledger.now()))
        return
    words = ledger.chunks.first_error(scan_id) or "no reason was recorded"
    error = f"{tally.chunks_failed} of {tally.chunks_total} chunks failed three times. The first: {words}"
    ledger.scans.save_state(scan.moved_to(ScanStatus.FAILED, ledger.now(), error))


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"Chunk {lease.span.number} of scan {lease.scan_id}, attempt {lease.attempt}: the lease is gone.")
