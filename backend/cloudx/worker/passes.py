"""A chunk's passes: its scanner over all of it, then over what has not answered, each with a seed and port of its own.

masscan's own --retries sends (1 + retries) × rate probes at once, and a probe repeated from the same port finds nothing
for a minute where the answer was lost: the target still has the connection half open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudx.domain.coverage import Unprobed
from cloudx.domain.findings import Finding, Found, each
from cloudx.domain.proof.probe_set import ProbeSet
from cloudx.services.chunks.scanner_port import Assignment, RunProgress, Scanner


@dataclass(frozen=True)
class Pass:
    """One run of a scanner over a chunk, or over what is left of it; numbered from 0."""

    number: int
    assignment: Assignment
    folder: Path

    @property
    def is_last(self) -> bool:
        """True where no pass can follow."""
        return self.number + 1 >= self.assignment.tries

    def scaled(self, progress: RunProgress) -> RunProgress:
        """The whole chunk's progress, at this progress of the pass."""
        share = (self.number + progress.sent_share) / self.assignment.tries
        return RunProgress(share, progress.sending_done, progress.ends_at) if self.is_last else RunProgress(share)


class Passes:
    """The passes of one chunk, in order; each begins when the one before is over."""

    def __init__(self, scanner: Scanner, assignment: Assignment, folder: Path) -> None:
        self._scanner = scanner
        self._assignment = assignment
        self._folder = folder
        self._begun: list[Pass] = []

    def __iter__(self) -> Iterator[Pass]:
        """Yield each pass, to be run before the next is asked for; ends early where everything has answered."""
        assignment, answered = self._assignment, self._no_probes()
        for number in range(assignment.tries):
            # The name makes the seed and the source port, so no two passes share it.
            folder = self._folder / f"{self._folder.name}-{number}"
            folder.mkdir(mode=0o700)
            self._begun.append(Pass(number, assignment, folder))
            yield self._begun[-1]
            if number + 1 < assignment.tries:
                for finding in each(self._found(self._begun[-1])):
                    if isinstance(finding, Finding):
                        answered.add_finding(finding)
                assignment = assignment.narrowed_to(answered.addresses_not_whole())
                if not assignment.addresses:
                    return

    def findings(self) -> Iterator[Found]:
        """What all of them found, each finding once."""
        if len(self._begun) == 1:
            yield from self._found(self._begun[0])
            return
        answered = self._no_probes()
        for one in self._begun:
            for finding in each(self._found(one)):
                if not isinstance(finding, Finding) or answered.add_finding(finding):
                    yield finding

    def unprobed(self) -> Unprobed | None:
        """What none of them probed although it ended well, as the tool tells."""
        return self._scanner.unprobed(self._begun[0].assignment, self._begun[0].folder)

    def findings_so_far(self) -> Iterator[Found]:
        """As `findings`, of runs that were ended and may have left no file, or one that is cut short."""
        with contextlib.suppress(FileNotFoundError):
            yield from self.findings()

    def _found(self, one: Pass) -> Iterator[Found]:
        return self._scanner.findings(one.assignment, one.folder)

    def _no_probes(self) -> ProbeSet:
        return ProbeSet(self._assignment.addresses, self._assignment.ports)
