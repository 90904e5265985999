"""Finish a chunk: complete it with its findings, fail it, or release it. Each chunk counts at most once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from cloudx.domain.chunks import ChunkState, Lease, after_failure
from cloudx.domain.coverage import Unprobed
from cloudx.domain.errors import LeaseLost
from cloudx.domain.findings import Found
from cloudx.domain.names import with_host_names
from cloudx.domain.scans import ScanStatus
from cloudx.services.ledger.ledger import Ledger, OpenLedger
from cloudx.services.ledger.records import Settled
from cloudx.services.results.keep import build_results, keep_results_if_settled, packed

from .claim import Claim
from .follow import first_error_of, store_findings, unprobed_of, whole_tally


@dataclass(frozen=True)
class RunOutput:
    """What a run found, what it did not probe, and how many packets of it the kernel counted (None: it did not)."""

    findings: Iterable[Found] = ()
    unprobed: Unprobed | None = None
    packets_sent: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)  # of addresses, looked up


def complete_chunk(open_ledger: OpenLedger, claim: Claim, output: RunOutput) -> int:
    """Store a chunk's findings and mark it done in one transaction; returns how many findings.

    What the run did not probe counts as failed, the rest as completed.
    Raises LeaseLost, having written nothing, when another attempt owns the chunk
    by now: the fence that makes every chunk count exactly once.
    """
    findings = iter(_named(claim, output))
    first = next(findings, None)
    with open_ledger(at_once=first is None) as ledger:  # without findings it is one statement
        if first is not None and claim.scan.followed_by:
            ledger.stages.lock(claim.scan.followed_by)
        settled = ledger.chunks.finish(claim.lease, claim.excluded_units, output.unprobed, output.packets_sent)
        if settled is Settled.LOST:
            raise _lost(claim.lease)
        stored = 0 if first is None else store_findings(ledger, claim, chain([first], findings))
        ledger.commit()
    if settled is Settled.MAY_BE_LAST:
        finish_scan_if_done(open_ledger, claim.scan.public_id, claim.lease)
    return stored


def keep_stopped_chunk(open_ledger: OpenLedger, claim: Claim, output: RunOutput, sent_share: float) -> int | None:
    """Store what the run of a stopped scan found before it ended; the chunk is not finished, and says how far it came.

    `sent_share` is 0-1. Returns how many findings; None where the chunk is another's by now, or the scan goes on.
    """
    with open_ledger() as ledger:
        reason = f"Not finished: the scan was stopped when {sent_share:.0%} of this part had been sent."
        if not ledger.chunks.stop(claim.lease, sent_share, reason, output.packets_sent):
            return None
        stored = store_findings(ledger, claim, _named(claim, output), follows=False)
        ledger.commit()
    keep_results_if_settled(open_ledger, claim.scan.public_id, claim.lease)
    return stored


def fail_chunk(open_ledger: OpenLedger, claim: Claim, error: str, packets_sent: int | None = None) -> ChunkState:
    """Record a failed run: the chunk waits for another try, or is failed for good. Raises LeaseLost."""
    lease = claim.lease
    with open_ledger() as ledger:
        earlier = ledger.chunks.failures_of(lease)
        if earlier is None:
            raise _lost(lease)
        verdict = after_failure(*earlier, lease.node_id)
        ledger.chunks.record_failure(lease, verdict, error, packets_sent)
        if verdict.state is ChunkState.PENDING:
            ledger.dispatches.notify()
        ledger.commit()
    if verdict.state is ChunkState.FAILED:
        finish_scan_if_done(open_ledger, claim.scan.public_id, lease)
    return verdict.state


def release_chunk(open_ledger: OpenLedger, claim: Claim) -> None:
    """Give an unfinished chunk back at once for the next claim; does nothing if the lease is lost."""
    with open_ledger(at_once=True) as ledger:
        settled = ledger.chunks.release(claim.lease, "released")
        ledger.dispatches.notify()
        ledger.commit()
    if settled is Settled.MAY_BE_LAST:
        keep_results_if_settled(open_ledger, claim.scan.public_id, claim.lease)


def finish_scan_if_done(open_ledger: OpenLedger, scan_id: str, lease: Lease | None = None) -> None:
    """End the scan once its last chunk is finished, with its inline results in the same transaction.

    A worker names the `lease` that it settled. In a transaction after the chunk's: two transactions that finish the
    last two chunks at once do not see each other, but a later one sees both. If the worker dies before it,
    reconcile_scans ends the scan.
    """
    with open_ledger(read_only=True) as ledger:
        summary = ledger.scans.summary(scan_id) if ledger.scans.finishable(scan_id) else None
    if summary is None:
        keep_results_if_settled(open_ledger, scan_id, lease)  # it was stopped, and this was its last run
        return
    results = build_results(open_ledger, summary, is_over=True)  # every chunk is over: nothing is added to them
    with open_ledger() as ledger:
        if ledger.scans.finish(scan_id, *_end_of(ledger, scan_id), packed(results), lease):
            ledger.commit()


def _named(claim: Claim, output: RunOutput) -> Iterable[Found]:
    """The findings with the names that were asked for, else those that were looked up."""
    names = {**{ip: (name,) for ip, name in output.names.items()}, **claim.scan.host_names}
    return with_host_names(output.findings, names) if names else output.findings


def _end_of(ledger: Ledger, scan_id: str) -> tuple[ScanStatus, str | None]:
    """The status and error of a scan whose chunks are all over; sql/end_scan.sql holds a worker to the status."""
    tally = whole_tally(ledger, scan_id)
    if tally.chunks_failed == 0 and (tally.completed_units or not tally.failed_units):
        return ScanStatus.COMPLETED, None
    if tally.chunks_failed == 0:
        (_, reason), *_ = unprobed_of(ledger, scan_id, 1)
        return ScanStatus.FAILED, f"Nothing of it was probed. The first reason: {reason}"
    first_error = first_error_of(ledger, scan_id) or "no reason was recorded"
    error = f"{tally.chunks_failed} of {tally.chunks_total} chunks failed three times. The first: {first_error}"
    return ScanStatus.FAILED, error


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"Chunk {lease.span.number} of scan {lease.scan_id}, attempt {lease.attempt}: the lease is gone.")
