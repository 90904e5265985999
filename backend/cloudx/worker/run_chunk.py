"""Run one chunk: start its scanner, follow it, and finish the chunk whatever happens."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog

from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.errors import CloudxError, LeaseLost
from cloudx.domain.nodes import RAW_SOCKET
from cloudx.domain.tools import Tool
from cloudx.memory import trim
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.names import NameLookup, names_of_found
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.chunks.scanner_port import Assignment, Command, Egress, Machine, RunProgress, Scanner
from cloudx.services.ledger.ledger import OpenLedger

from .finish_chunk import FinishChunk, Output
from .scanner_process import ScannerProcess

NMAP_LIMIT_SECONDS = 4 * 3600.0
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
    name_lookup: NameLookup


class ChunkRun:
    """The run of one claimed chunk, on a thread of its own."""

    def __init__(
        self,
        claim: Claim,
        context: RunContext,
        on_change: Callable[[], None],
        requested_at: float,
        predecessors: Sequence[ChunkRun] = (),
    ) -> None:
        """`requested_at` is the moment (lease_clock) before the claim; this run uses the rate of its predecessors."""
        self.claim = claim
        self.progress = RunProgress(0.0)
        self.grant_freed = False  # the ledger knows that sending is over, or will be in a moment
        self._context = context
        self._on_change = on_change  # called when sending ends or is about to, and when the run is over
        self._predecessors = tuple(predecessors)
        self._process: ScannerProcess | None = None
        self._is_overdue = False
        self._egress: Egress | None = None  # None for nmap
        self._result = RenewalResult.GO_ON
        self._must_end = threading.Event()  # the result is no longer GO_ON
        self._lock = threading.Lock()  # of the result and the process
        self.renewed(requested_at)
        lease = claim.lease
        self._log = log.bind(scan=lease.scan_id, chunk=lease.span.number, attempt=lease.attempt)
        self._finish_chunk = FinishChunk(context.open_ledger, claim, self._log)
        self._thread = threading.Thread(target=self._run, name=f"chunk-{lease.span.number}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout_seconds)

    @property
    def is_over(self) -> bool:
        """True when the chunk is finished or given up."""
        return not self._thread.is_alive()

    @property
    def is_sending(self) -> bool:
        """True while packets leave."""
        return not self.progress.sending_done and not self.is_over

    @property
    def is_committing(self) -> bool:
        """True while the chunk's row is locked by its commit, which keeps the lease."""
        return self._finish_chunk.is_committing

    def ends_within(self, seconds: float) -> bool:
        """True when its sending is over, or will probably be so soon."""
        ends_at = self.progress.ends_at
        return not self.is_sending or (ends_at is not None and ends_at - time.monotonic() <= seconds)

    def renewed(self, requested_at: float) -> None:
        """The lease holds from the moment (lease_clock) before its claim or renewal."""
        self._leased_until = requested_at + LEASE_SECONDS

    def self_fence(self) -> None:
        """End a scanner whose lease has run out: another worker may be sending the same probes by now.

        A run that has sent everything may go on: its output waits for the ledger, whose fence decides.
        """
        if self.is_sending and lease_clock() > self._leased_until and self.apply(RenewalResult.RELEASE):
            self._log.warning("chunk.fenced", reason=f"its lease could not be renewed for {LEASE_SECONDS:.0f} s")

    def apply(self, result: RenewalResult) -> bool:
        """End the scanner; `result` decides what becomes of the chunk. False if an earlier result has decided."""
        with self._lock:
            if self._result is not RenewalResult.GO_ON:
                return False
            self._result = result
            process = self._process
        self._must_end.set()
        if process is not None:
            threading.Thread(target=process.end, daemon=True).start()
        return True

    def _run(self) -> None:
        lease = self.claim.lease
        # A new folder each time: a claim that a crash of the database took back is made again with the same numbers.
        name = f"{lease.scan_id}-{lease.span.number}-{lease.attempt}-{time.monotonic_ns()}"
        folder = self._context.runs_folder / name
        try:
            folder.mkdir(mode=0o700, parents=True)
            if self._is_placed():
                self._finish(folder, self._scan(folder))
        except LeaseLost:
            self._log.warning("chunk.lost", reason="another attempt owns it; its findings were thrown away")
        except Exception as error:
            self._finish_chunk.fail(_reason(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            trim()
            self.progress = RunProgress(1.0, sending_done=True)
            self._on_change()

    def _is_placed(self) -> bool:
        """True if this machine can run it; else it is in the queue again, for others or in parts."""
        claim, context = self.claim, self._context
        if claim.scan.tool is Tool.NMAP or not claim.addresses:
            return True
        self._egress = place_chunk(context.open_ledger, claim, context.machine.ways_to(claim.addresses))
        if self._egress is None:
            self._log.info("chunk.placed_elsewhere")
        return self._egress is not None

    def _scan(self, folder: Path) -> str | None:
        """Run the scanner to its end; None when its output is whole, else what went wrong."""
        claim = self.claim
        if not claim.addresses:
            return None  # all of them have been excluded since
        scanner = self._context.scanners[claim.scan.tool]
        command = scanner.command(self._assignment, folder)
        self._wait_for_predecessors(command.start_seconds)
        process = self._start_scanner(command, folder)
        if process is None:
            return "ended before it began"
        exit_code = self._follow(scanner, process, folder)
        if self._is_overdue:
            return f"{claim.scan.tool} did not end within {_limit_seconds(claim):.0f} s and was killed"
        if scanner.succeeded(exit_code, folder):
            return None
        return scanner.last_words(folder) or f"{claim.scan.tool} ended with exit code {exit_code} and said nothing"

    def _wait_for_predecessors(self, start_seconds: float) -> None:
        """Wait until they have sent everything by the time this run's first packet leaves."""
        deadline = time.monotonic() + MAX_HOLD_SECONDS
        for run in self._predecessors:
            while not run.ends_within(start_seconds) and time.monotonic() < deadline:
                if self._must_end.wait(_pause_seconds(run.progress.ends_at, start_seconds)):
                    return
        self._predecessors = ()  # they are over soon, and need not be kept

    def _start_scanner(self, command: Command, folder: Path) -> ScannerProcess | None:
        """The scanner; None if a result came first."""
        with self._lock:
            if self._result is RenewalResult.GO_ON:
                self._process = ScannerProcess(command, folder)
            return self._process

    def _follow(self, scanner: Scanner, process: ScannerProcess, folder: Path) -> int:
        """Take in the scanner's progress until it ends, killing it if it hangs; the exit code."""
        watchdog = threading.Timer(_limit_seconds(self.claim), self._end_overdue)
        watchdog.daemon = True
        watchdog.start()
        try:
            for progress in scanner.follow(self._assignment, folder, *process.streams):
                self._advance(progress)
            return process.wait()
        finally:
            watchdog.cancel()
            process.end()
            self._advance(RunProgress(self.progress.sent_share, sending_done=True))

    def _advance(self, progress: RunProgress) -> None:
        self.progress = progress
        if not self.grant_freed and self.ends_within(1.0):
            self._on_change()

    def _end_overdue(self) -> None:
        self._is_overdue = True
        if self._process is not None:
            self._process.end()

    @cached_property
    def _assignment(self) -> Assignment:
        claim, context = self.claim, self._context
        return Assignment(
            scan_type=claim.scan.type,
            addresses=claim.addresses,
            ports=claim.ports,
            rate_pps=claim.lease.rate_pps,
            raw_sockets=RAW_SOCKET in context.capabilities,
            egress=self._egress,
        )

    def _finish(self, folder: Path, error: str | None) -> None:
        if self._result is not RenewalResult.GO_ON:
            # Even if the output is whole: one of its addresses may just have been excluded.
            self._finish_chunk.release("chunk.dropped" if self._is_dropped() else "chunk.released")
        elif error is None:
            names = self._names(folder)
            self._finish_chunk.complete(lambda: self._output(folder, names), self._is_dropped)
        else:
            self._finish_chunk.fail(error)

    def _is_dropped(self) -> bool:
        return self._result is RenewalResult.DROP

    def _names(self, folder: Path) -> dict[str, str]:
        """Looked up before the commit, which holds the chunk's row locked."""
        if not self.claim.addresses or not self.claim.scan.resolve:
            return {}
        scanner = self._context.scanners[self.claim.scan.tool]
        return names_of_found(self.claim.scan, scanner.findings(self._assignment, folder), self._context.name_lookup)

    def _output(self, folder: Path, names: dict[str, str]) -> Output:
        """The findings, what the run did not probe, and names; nothing of any if there was nothing to run."""
        if not self.claim.addresses:
            return (), None, {}
        scanner = self._context.scanners[self.claim.scan.tool]
        return scanner.findings(self._assignment, folder), scanner.unprobed(self._assignment, folder), names


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
