"""Tell the ledger how a run ended: commit its findings, record its failure, or release its chunk."""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Callable

import structlog

from cloudx.domain.backoff import Backoff
from cloudx.domain.errors import CloudxError, DependencyUnavailable
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput, complete_chunk, fail_chunk, keep_stopped_chunk, release_chunk
from cloudx.services.ledger.ledger import OpenLedger

COMMIT_RETRY = Backoff(first_seconds=1.0, longest_seconds=5.0)
MAX_ERROR_LENGTH = 500


class FinishChunk:
    """Finishes one claimed chunk. A class and not a function: other threads read whether it commits now."""

    def __init__(self, open_ledger: OpenLedger, claim: Claim, log: structlog.stdlib.BoundLogger) -> None:
        self.is_committing = False  # the chunk's row is locked meanwhile, which keeps the lease
        self._open_ledger = open_ledger
        self._claim = claim
        self._log = log

    def complete(self, read_output: Callable[[], RunOutput], is_dropped: Callable[[], bool]) -> None:
        """Commit, holding the output on disk through any outage of the database, unless the chunk is dropped meanwhile.

        `read_output` is called for each try. Raises LeaseLost.
        """
        for failures in itertools.count(1):
            try:
                self._log.info("chunk.done", findings=self._commit(read_output()))
                return
            except DependencyUnavailable as error:
                if is_dropped():
                    return
                pause_seconds = COMMIT_RETRY.seconds_after(failures)
                self._log.warning("chunk.commit_delayed", reason=error.message, retry_seconds=pause_seconds)
                time.sleep(pause_seconds)

    def _commit(self, output: RunOutput) -> int:
        self.is_committing = True
        try:
            return complete_chunk(self._open_ledger, self._claim, output)
        finally:
            self.is_committing = False

    def keep_stopped(self, output: RunOutput, sent_share: float) -> None:
        """Keep what a run found until its scan was stopped."""
        try:
            findings = keep_stopped_chunk(self._open_ledger, self._claim, output, sent_share)
        except CloudxError as error:
            self._log.warning("chunk.not_kept", reason=error.message)
            return
        if findings is None:
            self.release("chunk.dropped")
        else:
            self._log.info("chunk.stopped", findings=findings, sent_share=round(sent_share, 3))

    def fail(self, reason: str, packets_sent: int | None = None) -> None:
        """Record a failed run. If the ledger does not take it, the lease runs out and the chunk is run again."""
        reason = reason[:MAX_ERROR_LENGTH]
        try:
            state = fail_chunk(self._open_ledger, self._claim, reason, packets_sent)
            self._log.warning("chunk.failed", reason=reason, state=state)
        except CloudxError as error:
            self._log.warning("chunk.failed", reason=reason, unrecorded=error.message)

    def release(self, event: str) -> None:
        """Give the chunk back, logging `event`. If the ledger does not take it, the lease runs out."""
        try:
            release_chunk(self._open_ledger, self._claim)
            self._log.info(event)
        except CloudxError as error:
            self._log.warning("chunk.not_released", reason=error.message)


def reason_of(error: Exception) -> str:
    """What went wrong, in words for people."""
    if isinstance(error, CloudxError):
        return error.message
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of the node is full ({error.filename or 'scanner output'}). Free space, then scan again."
    return f"{type(error).__name__}: {error}"
