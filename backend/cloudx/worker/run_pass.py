"""Run one pass of a chunk: its scanner, a watchdog, and the kernel's count of what it sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudx.domain.proof.sending import SendRecord, why_unsent
from cloudx.services.chunks.scanner_port import Command, Machine, RunProgress, Scanner, SendWatch

from .passes import Pass
from .reply_wait import ReplyWait
from .scanner_process import ScannerProcess
from .watchdog import Watchdog


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
    start: Callable[[Command, Path], ScannerProcess | None]  # None where the chunk must end
    advance: Callable[[RunProgress], None]

    def __call__(self, one: Pass, command: Command) -> PassEnd:
        """No error means that the output is whole and that everything has left the machine. Raises OSError."""
        watch = self._watch_sending(one)
        record: SendRecord | None = None
        try:
            process = self.start(command, one.folder)
            error = "ended before it began" if process is None else self._follow(process, one)
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

    def _follow(self, process: ScannerProcess, one: Pass) -> str | None:
        """Take in the scanner's progress until it ends, killing it if it hangs; what went wrong, if anything."""
        reply_wait = ReplyWait(self.scanner.tool, process.pid)
        with Watchdog(self.scanner.tool, self.limit_seconds, process.end) as watchdog:
            try:
                for progress in self.scanner.follow(one.assignment, one.folder, *process.streams):
                    self.advance(one.scaled(progress))
                    if progress.sending_done:
                        watchdog.sending_is_done()
                        reply_wait.goes_on()
                exit_code = process.wait()
            finally:
                process.end()
        if watchdog.verdict is not None:
            return watchdog.verdict
        return None if self.scanner.succeeded(exit_code, one.folder) else self._why_failed(exit_code, one)

    def _why_failed(self, exit_code: int, one: Pass) -> str:
        last_words = self.scanner.last_words(one.folder)
        return last_words or f"{self.scanner.tool} ended with exit code {exit_code} and said nothing"
