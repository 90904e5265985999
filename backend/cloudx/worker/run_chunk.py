"""Run one chunk: start its scanner, follow it, and finish the chunk whatever happens."""

from __future__ import annotations

import errno
import itertools
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog

from cloudx.domain.backoff import Backoff
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.errors import CloudxError, DependencyUnavailable, LeaseLost
from cloudx.domain.nodes import RAW_SOCKET
from cloudx.domain.tools import Tool
from cloudx.memory import trim
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import complete_chunk, fail_chunk, release_chunk
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.chunks.scanner_port import Assignment, Command, Machine, RunProgress, Scanner
from cloudx.services.ledger.ledger import OpenLedger

from .scanner_process import ScannerProcess

COMMIT_RETRY = Backoff(first_seconds=1.0, longest_seconds=5.0)
NMAP_LIMIT_SECONDS = 4 * 3600.0
MAX_ERROR_LENGTH = 500
MAX_HOLD_SECONDS = 2.0  # for the run before to end

log = structlog.get_logger()


@dataclass(frozen=True)
class RunContext:
    """What every run on this machine shares."""

    open_ledger: OpenLedger
    scanners: dict[Tool, Scanner]
    machine: Machine
    capabilities: tuple[str, ...]
    runs_folder: Path


class ChunkRun:
    """One claimed chunk in the works, on a thread of its own."""

    def __init__(
        self,
        claim: Claim,
        context: RunContext,
        on_change: Callable[[], None],
        claimed_at: float,
        after: Sequence[ChunkRun] = (),
    ) -> None:
        """`claimed_at` is when the claim was asked for (lease_clock); `after` are the runs whose rate this one uses."""
        self.claim = claim
        self.progress = RunProgress(0.0)
        self.grant_freed = False  # the ledger was told that sending is done, or will be in a moment
        self.is_committing = False  # its row is locked meanwhile, which keeps the lease
        self._context = context
        self._on_change = on_change  # called when sending ends or is about to, and when the run is over
        self._after = tuple(after)
        self._process: ScannerProcess | None = None
        self._result = RenewalResult.GO_ON
        self._told = threading.Event()
        self._lock = threading.Lock()
        self._over_time = False
        self.renewed(claimed_at)
        lease = claim.lease
        self._log = log.bind(scan=lease.scan_id, chunk=lease.span.number, attempt=lease.attempt)
        self._thread = threading.Thread(target=self._run, name=f"chunk-{lease.span.number}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """True when the chunk is settled or given up."""
        return not self._thread.is_alive()

    @property
    def is_sending(self) -> bool:
        """True while packets leave."""
        return not self.progress.sending_done and not self.is_over

    def ends_within(self, seconds: float) -> bool:
        """True when its sending is over, or expected to be so soon."""
        ends_at = self.progress.ends_at
        return not self.is_sending or (ends_at is not None and ends_at - time.monotonic() <= seconds)

    def renewed(self, asked_at: float) -> None:
        """The lease was given or extended by what was asked then (lease_clock)."""
        self._leased_until = asked_at + LEASE_SECONDS

    def self_fence(self) -> None:
        """End a scanner whose lease has run out: another worker may be sending the same probes by now.

        One that has sent everything may go on: its output waits for the ledger, whose fence decides.
        """
        if self.is_sending and lease_clock() > self._leased_until and self.apply(RenewalResult.RELEASE):
            self._log.warning("chunk.fenced", reason=f"its lease could not be renewed for {LEASE_SECONDS:.0f} s")

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_seconds)

    def apply(self, result: RenewalResult) -> bool:
        """End the scanner as a renewal demands; the result decides what becomes of the chunk. False if it has one."""
        with self._lock:
            if self._result is not RenewalResult.GO_ON:
                return False
            self._result = result
            process = self._process
        self._told.set()
        if process is not None:
            threading.Thread(target=process.end, daemon=True).start()
        return True

    def _run(self) -> None:
        lease = self.claim.lease
        # Never one that is there: a claim that a crash of the database took back is made again with the same numbers.
        name = f"{lease.scan_id}-{lease.span.number}-{lease.attempt}-{time.monotonic_ns()}"
        folder = self._context.runs_folder / name
        try:
            folder.mkdir(mode=0o700, parents=True)
            self._settle(folder, self._scan(folder))
        except LeaseLost:
            self._log.warning("chunk.lost", reason="another attempt owns it; its findings were thrown away")
        except Exception as error:
            self._fail(_reason(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            trim()
            self.progress = RunProgress(1.0, sending_done=True)
            self._on_change()

    def _scan(self, folder: Path) -> str | None:
        """Run the scanner to its end; None when its output is whole, else what went wrong."""
        claim = self.claim
        if not claim.addresses:
            return None  # everything in it has been excluded since
        scanner = self._context.scanners[claim.scan.tool]
        command = scanner.command(self._assignment, folder)
        self._hold(command.start_seconds)
        process = self._started(command, folder)
        if process is None:
            return "ended before it began"
        watchdog = threading.Timer(_limit_seconds(claim), self._end_for_good)
        watchdog.daemon = True
        watchdog.start()
        try:
            for progress in scanner.follow(self._assignment, folder, *process.streams):
                self._note(progress)
            exit_code = process.wait()
        finally:
            watchdog.cancel()
            process.end()
            self._note(RunProgress(self.progress.sent_share, sending_done=True))
        if self._over_time:
            return f"{claim.scan.tool} did not end within {_limit_seconds(claim):.0f} s and was killed"
        if scanner.succeeded(exit_code, folder):
            return None
        return scanner.last_words(folder) or f"{claim.scan.tool} ended with exit code {exit_code} and said nothing"

    def _hold(self, start_seconds: float) -> None:
        """Wait until the runs before have sent everything by the time this one's first packet leaves."""
        deadline = time.monotonic() + MAX_HOLD_SECONDS
        for run in self._after:
            while not run.ends_within(start_seconds) and time.monotonic() < deadline:
                if self._told.wait(_pause_seconds(run.progress.ends_at, start_seconds)):
                    return
        self._after = ()  # they are over soon, and need not be kept

    def _started(self, command: Command, folder: Path) -> ScannerProcess | None:
        """The scanner; None if a renewal ended the run first."""
        with self._lock:
            if self._result is RenewalResult.GO_ON:
                self._process = ScannerProcess(command, folder)
            return self._process

    @cached_property
    def _assignment(self) -> Assignment:
        claim, context = self.claim, self._context
        needs_egress = claim.scan.tool is not Tool.NMAP
        return Assignment(
            scan_type=claim.scan.type,
            addresses=claim.addresses,
            ports=claim.ports,
            rate_pps=claim.lease.rate_pps,
            raw_sockets=RAW_SOCKET in context.capabilities,
            egress=context.machine.egress_for(claim.addresses) if needs_egress else None,
        )

    def _note(self, progress: RunProgress) -> None:
        self.progress = progress
        if not self.grant_freed and self.ends_within(1.0):
            self._on_change()

    def _end_for_good(self) -> None:
        self._over_time = True
        if self._process is not None:
            self._process.end()

    def _settle(self, folder: Path, error: str | None) -> None:
        if self._result is not RenewalResult.GO_ON:
            self._give_back()  # even when it is whole: an address in it may just have been excluded
        elif error is None:
            self._complete(folder)
        else:
            self._fail(error)

    def _give_back(self) -> None:
        try:
            release_chunk(self._context.open_ledger, self.claim)
            self._log.info("chunk.dropped" if self._result is RenewalResult.DROP else "chunk.released")
        except CloudxError as why:
            self._log.warning("chunk.not_released", reason=why.message)  # its lease runs out, and it is run again

    def _complete(self, folder: Path) -> None:
        """Commit, holding the findings on disk through any outage of the database."""
        for failures in itertools.count(1):
            try:
                self._log.info("chunk.done", findings=self._commit(folder))
                return
            except DependencyUnavailable as error:
                if self._result is RenewalResult.DROP:
                    return
                pause_seconds = COMMIT_RETRY.seconds_after(failures)
                self._log.warning("chunk.commit_delayed", reason=error.message, retry_seconds=pause_seconds)
                time.sleep(pause_seconds)

    def _commit(self, folder: Path) -> int:
        scanner = self._context.scanners[self.claim.scan.tool]
        has_run = bool(self.claim.addresses)
        findings = scanner.findings(self._assignment, folder) if has_run else iter(())
        unprobed = scanner.unprobed(self._assignment, folder) if has_run else None
        self.is_committing = True
        try:
            return complete_chunk(self._context.open_ledger, self.claim, findings, unprobed)
        finally:
            self.is_committing = False

    def _fail(self, error: str) -> None:
        error = error[:MAX_ERROR_LENGTH]
        try:
            state = fail_chunk(self._context.open_ledger, self.claim, error)
            self._log.warning("chunk.failed", reason=error, state=state)
        except CloudxError as why:
            # Lost or unreachable: the lease runs out and the chunk is run again.
            self._log.warning("chunk.failed", reason=error, unrecorded=why.message)


def lease_clock() -> float:
    """Seconds that go on while the machine sleeps, as a lease does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _pause_seconds(ends_at: float | None, start_seconds: float) -> float:
    """Until it is worth looking again."""
    return 0.05 if ends_at is None else min(0.05, max(0.001, ends_at - start_seconds - time.monotonic()))


def _limit_seconds(claim: Claim) -> float:
    """How long a run may take before it counts as hung."""
    if claim.scan.tool is Tool.NMAP:
        return NMAP_LIMIT_SECONDS
    sending_seconds = claim.units / max(1, claim.lease.rate_pps)
    return 60.0 + 4 * sending_seconds  # retries, slow starts and the wait for late replies


def _reason(error: Exception) -> str:
    if isinstance(error, CloudxError):
        return error.message
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of the node is full ({error.filename or 'scanner output'}). Free space, then scan again."
    return f"{type(error).__name__}: {error}"
