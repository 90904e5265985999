"""Tell the ledger how a run ended: commit its findings, record its failure, or release its chunk."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from cloudx.domain.backoff import Backoff
from cloudx.domain.coverage import Unprobed
from cloudx.domain.errors import CloudxError, DependencyUnavailable
from cloudx.domain.findings import AnyFinding
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import complete_chunk, fail_chunk, release_chunk
from cloudx.services.ledger.ledger import OpenLedger

COMMIT_RETRY = Backoff(first_seconds=1.0, longest_seconds=5.0)
MAX_ERROR_LENGTH = 500

Output = tuple[Iterable[AnyFinding], Unprobed | None, Mapping[str, str]]


class FinishChunk:
    """Finishes one claimed chunk. A class and not a function: other threads read whether it commits now."""

    def __init__(self, open_ledger: OpenLedger, claim: Claim, log: structlog.stdlib.BoundLogger) -> None:
        self.is_committing = False  # the chunk's row is locked meanwhile, which keeps the lease
        self._open_ledger = open_ledger
        self._claim = claim
        self._log = log

    def complete(self, read_output: Callable[[], Output], is_dropped: Callable[[], bool]) -> None:
        """Commit, holding the output on disk through any outage of the database, unless the chunk is dropped meanwhile.

        `read_output` is called for each try. Raises LeaseLost.
        """
        for failures in itertools.count(1):
            try:
                self._log.info("chunk.done", findings=self._commit(*read_output()))
                return
            except DependencyUnavailable as error:
                if is_dropped():
                    return
                pause_seconds = COMMIT_RETRY.seconds_after(failures)
                self._log.warning("chunk.commit_delayed", reason=error.message, retry_seconds=pause_seconds)
                time.sleep(pause_seconds)

    def _commit(self, findings: Iterable[AnyFinding], unprobed: Unprobed | None, names: Mapping[str, str]) -> int:
        self.is_committing = True
        try:
            return complete_chunk(self._open_ledger, self._claim, findings, unprobed, names)
        finally:
            self.is_committing = False

    def fail(self, reason: str) -> None:
        """Record a failed run. If the ledger does not take it, the lease runs out and the chunk is run again."""
        reason = reason[:MAX_ERROR_LENGTH]
        try:
            state = fail_chunk(self._open_ledger, self._claim, reason)
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
