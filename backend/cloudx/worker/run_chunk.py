"""Run one chunk: start its scanner, follow it, and finish the chunk whatever happens."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import structlog

from cloudx.domain.chunks import LEASE_SECONDS, MAX_FAILURES
from cloudx.domain.errors import LeaseLost
from cloudx.domain.findings import Found
from cloudx.domain.nodes import RAW_SOCKET
from cloudx.domain.proof.tarpits import ReadFindings, fold_tarpits
from cloudx.domain.proof.tries import tries_of
from cloudx.domain.tools import Tool
from cloudx.memory import trim
from cloudx.services.chunks.claim import Claim
from cloudx.services.chunks.finish import RunOutput
from cloudx.services.chunks.names import NameLookup, names_of_found
from cloudx.services.chunks.place import place_chunk
from cloudx.services.chunks.renew import RenewalResult
from cloudx.services.chunks.scanner_port import Assignment, Command, Egress, Machine, RunProgress, Scanner
from cloudx.services.ledger.ledger import OpenLedger

from .announce_source import announce_source
from .finish_chunk import FinishChunk, reason_of
from .passes import Pass, Passes
from .run_pass import RunPass
from .run_times import lease_clock, limit_seconds, pause_seconds
from .scanner_process import ScannerProcess

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
        self._passes: Passes | None = None
        self._egress: Egress | None = None  # None for nmap
        self._given_up: str | None = None  # why, where this machine cannot go on
        self._packets_sent: int | None = None  # as the kernel counted them, over all passes
        self._result = RenewalResult.GO_ON
        self._must_end = threading.Event()  # the result is no longer GO_ON
        self._lock = threading.Lock()  # of the result and the process
        self.renewed(requested_at)
        lease = claim.lease
        self._log = log.bind(scan=claim.scan.public_id, chunk=lease.span.number, attempt=lease.attempt)
        self._finish_chunk = FinishChunk(context.open_ledger, claim, self._log)
        self._thread = threading.Thread(target=self._run_to_the_end, name=f"chunk-{lease.span.number}", daemon=True)

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
            end = process.end_and_keep_results if result is RenewalResult.DROP else process.end
            threading.Thread(target=end, daemon=True).start()
        return True

    def give_up(self, reason: str) -> None:
        """End the scanner and fail the chunk, if nothing has decided on it."""
        self._given_up = reason
        self.apply(RenewalResult.RELEASE)

    def _run_to_the_end(self) -> None:
        lease = self.claim.lease
        # A new folder each time: a claim that a crash of the database took back is made again with the same numbers.
        name = f"{lease.scan_id}-{lease.span.number}-{lease.attempt}-{time.monotonic_ns()}"
        folder = self._context.runs_folder / name
        try:
            folder.mkdir(mode=0o700, parents=True)
            if self._is_placed():
                self._finish(self._scan(folder))
        except LeaseLost:
            self._log.warning("chunk.lost", reason="another attempt owns it; its findings were thrown away")
        except Exception as error:
            self._finish_chunk.fail(reason_of(error))
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
        """Run the scanner to its end, once a pass; None when its output is whole, else what went wrong."""
        if not self.claim.addresses:
            return None  # all of them have been excluded since
        context = self._context
        announce_source(context.open_ledger, self.claim, context.machine, self._egress, self._must_end)
        self._passes = Passes(self._scanner, self._assignment, folder)
        run_pass = RunPass(
            scanner=self._scanner,
            machine=self._context.machine,
            limit_seconds=limit_seconds(self.claim),
            accepts_unread=self.claim.lease.attempt >= MAX_FAILURES,
            start=self._start_scanner,
            advance=self._advance,
        )
        try:
            for one in self._passes:
                if (error := self._run(one, run_pass)) is not None:
                    return error
            return None
        finally:
            self._advance(RunProgress(self.progress.sent_share, sending_done=True))

    def _run(self, one: Pass, run_pass: RunPass) -> str | None:
        """Run the commands of one pass; None when their output is whole, else what went wrong."""
        command: Command | None = self._scanner.command(one.assignment, one.folder)
        while command is not None:
            self._wait_for_predecessors(command.start_seconds)
            end = run_pass(one, command)
            if end.packets_sent is not None:
                self._packets_sent = (self._packets_sent or 0) + end.packets_sent
            if end.error is not None:
                return end.error
            command = self._scanner.next_command(one.assignment, one.folder)
        return None

    def _wait_for_predecessors(self, start_seconds: float) -> None:
        """Wait until they have sent everything by the time this run's first packet leaves."""
        deadline = time.monotonic() + MAX_HOLD_SECONDS
        for run in self._predecessors:
            while not run.ends_within(start_seconds) and time.monotonic() < deadline:
                if self._must_end.wait(pause_seconds(run.progress.ends_at, start_seconds)):
                    return
        self._predecessors = ()  # they are over soon, and need not be kept

    def _start_scanner(self, command: Command, folder: Path) -> ScannerProcess | None:
        """The scanner; None if a result came first."""
        with self._lock:
            if self._result is not RenewalResult.GO_ON:
                return None
            self._process = ScannerProcess(command, folder)
            return self._process

    def _advance(self, progress: RunProgress) -> None:
        self.progress = progress
        if not self.grant_freed and self.ends_within(1.0):
            self._on_change()

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
            max_retries=claim.scan.retries,
            tries=tries_of(claim.scan, replies_get_lost=self._egress is not None and self._egress.offloads_on),
            timeout_seconds=claim.scan.timeout_seconds,
            is_rate_asked=claim.scan.asked_rate_pps is not None or bool(claim.scan.rate_per_prefix),
            is_whole_scan=claim.scan.addresses.size == claim.addresses.size,
            are_known_open=claim.scan.follows is not None,
            rate_per_prefix=claim.scan.rate_per_prefix,
        ).narrowed_to(claim.addresses)  # fewer than planned where some have been excluded since

    def _finish(self, error: str | None) -> None:
        if self._is_dropped() and self._passes is not None:
            self._finish_chunk.keep_stopped(self._partial_output(self._passes), self.progress.sent_share)
        elif self._result is RenewalResult.RELEASE and self._given_up is not None:
            self._finish_chunk.fail(self._given_up, self._packets_sent)
        elif self._result is not RenewalResult.GO_ON:
            # Even if the output is whole: one of its addresses may just have been excluded.
            self._finish_chunk.release("chunk.dropped" if self._is_dropped() else "chunk.released")
        elif error is None:
            names = self._names()
            self._finish_chunk.complete(lambda: self._output(names), self._is_dropped)
        else:
            self._finish_chunk.fail(error, self._packets_sent)

    def _is_dropped(self) -> bool:
        return self._result is RenewalResult.DROP

    def _names(self) -> dict[str, str]:
        """Looked up before the commit, which holds the chunk's row locked."""
        if self._passes is None or not self.claim.scan.resolve:
            return {}
        return names_of_found(self.claim.scan, self._passes.findings(), self._context.name_lookup)

    def _output(self, names: dict[str, str]) -> RunOutput:
        """The findings, and what the run did not probe; nothing of either if there was nothing to run."""
        if self._passes is None:
            return RunOutput()
        return RunOutput(self._folded(self._passes.findings), self._passes.unprobed(), self._packets_sent, names)

    def _partial_output(self, passes: Passes) -> RunOutput:
        """What a run that was ended had written by then."""
        return RunOutput(self._folded(passes.findings_so_far), None, self._packets_sent)

    def _folded(self, read: ReadFindings) -> Iterator[Found]:
        if self.claim.scan.follows is not None:
            return read()  # it asks open ports alone: all of them open means nothing
        ports = self.claim.ports
        return fold_tarpits(read, ports, ports.size if ports else self.claim.scan.type.usual_ports)

    @property
    def _scanner(self) -> Scanner:
        return self._context.scanners[self.claim.scan.tool]
