"""Run one pass of a chunk: its scanner, a watchdog, and the kernel's count of what it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from cloudx.domain.proof.sending import SendRecord, why_unsent
from cloudx.services.chunks.scanner_port import Command, Machine, RunProgress, Scanner, SendWatch

from .arrivals import Arrivals
from .passes import Pass
from .reply_wait import ReplyWait
from .scanner_process import ScannerProcess
from .watchdog import Watchdog

log = structlog.get_logger()


@dataclass(frozen=True)
class PassEnd:
    """How a pass ended: what went wrong, if anything, and how many packets the kernel counted (None: it did not)."""

    error: str | None
    packets_sent: int | None


@dataclass(frozen=True)
class RunPass:
    """Runs the passes of one chunk, each to its end."""

    scanner: Scanner
    machine: Machine
    limit_seconds: float  # then a run counts as hung
    accepts_unread: bool  # replies that the tool did not take in are no reason to try again
    start: Callable[[Command, Path], ScannerProcess | None]  # None where the chunk must end
    advance: Callable[[RunProgress], None]

    def __call__(self, one: Pass, command: Command) -> PassEnd:
        """No error means that the output is whole and that everything has left the machine. Raises OSError."""
        watch = self._watch_sending(one)
        record: SendRecord | None = None
        try:
            process = self.start(command, one.folder)
            error = "ended before it began" if process is None else self._follow(process, one, watch)
        finally:
            record = watch.end() if watch is not None else None
        if record is None:
            return PassEnd(error, None)
        # What the interface tells comes first: a link that has gone is why masscan hangs.
        interface_trouble = why_unsent(record, 0)
        return PassEnd(interface_trouble or error or why_unsent(record, one.assignment.probes), record.probes)

    def _watch_sending(self, one: Pass) -> SendWatch | None:
        """A count of the probes that leave; None where the tool's own output proves it."""
        frames = self.scanner.probe_frames(one.assignment, one.folder)
        if frames is None or one.assignment.egress is None:
            return None
        return self.machine.watch_sending(one.assignment.egress.interface, frames)

    def _follow(self, process: ScannerProcess, one: Pass, watch: SendWatch | None) -> str | None:
        """Take in the scanner's progress until it ends, killing it if it hangs; what went wrong, if anything."""
        reply_wait, arrivals = ReplyWait(self.scanner.tool, process.pid), Arrivals(watch)
        with Watchdog(self.scanner.tool, self.limit_seconds, process.end) as watchdog:
            try:
                for progress in self.scanner.follow(one.assignment, one.folder, *process.streams):
                    self.advance(one.scaled(progress))
                    if progress.sending_done:
                        watchdog.sending_is_done()
                        reply_wait.goes_on()
                        arrivals.note()
                exit_code = process.wait()
            finally:
                process.end()
        if watchdog.verdict is not None:
            return watchdog.verdict
        if not self.scanner.succeeded(exit_code, one.folder):
            return self._why_failed(exit_code, one)
        return self._why_unread(arrivals.unread(self.scanner.taken_in(one.folder)))

    def _why_unread(self, unread: int) -> str | None:
        if not unread:
            return None
        reason = (
            f"{unread} replies reached this machine that {self.scanner.tool} did not take for replies to its probes."
        )
        log.warning("chunk.replies_unread", reason=reason, accepted=self.accepts_unread)
        return None if self.accepts_unread else reason

    def _why_failed(self, exit_code: int, one: Pass) -> str:
        last_words = self.scanner.last_words(one.folder)
        return last_words or f"{self.scanner.tool} ended with exit code {exit_code} and said nothing"
