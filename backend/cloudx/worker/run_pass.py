"""Run one pass of a chunk: its scanner, a watchdog, and the kernel's count of what it sends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudx.domain.proof.sending import SendRecord, why_unsent
from cloudx.services.chunks.scanner_port import Command, Machine, RunProgress, Scanner, SendWatch

from .passes import Pass
from .scanner_process import ScannerProcess


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
        return PassEnd(error or why_unsent(record, one.assignment.probes), record.probes)

    def _watch_sending(self, one: Pass) -> SendWatch | None:
        """A count of the probes that leave; None where the tool's own output proves it."""
        frames = self.scanner.probe_frames(one.assignment, one.folder)
        if frames is None or one.assignment.egress is None:
            return None
        return self.machine.watch_sending(one.assignment.egress.interface, frames)

    def _follow(self, process: ScannerProcess, one: Pass) -> str | None:
        """Take in the scanner's progress until it ends, killing it if it hangs; what went wrong, if anything."""
        is_overdue = threading.Event()

        def end_overdue() -> None:
            is_overdue.set()
            process.end()

        watchdog = threading.Timer(self.limit_seconds, end_overdue)
        watchdog.daemon = True
        watchdog.start()
        try:
            for progress in self.scanner.follow(one.assignment, one.folder, *process.streams):
                self.advance(one.scaled(progress))
            exit_code = process.wait()
        finally:
            watchdog.cancel()
            process.end()
        if is_overdue.is_set():
            return f"{self.scanner.tool} did not end within {self.limit_seconds:.0f} s and was killed"
        return None if self.scanner.succeeded(exit_code, one.folder) else self._why_failed(exit_code, one)

    def _why_failed(self, exit_code: int, one: Pass) -> str:
        last_words = self.scanner.last_words(one.folder)
        return last_words or f"{self.scanner.tool} ended with exit code {exit_code} and said nothing"
