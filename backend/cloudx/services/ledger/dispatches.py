"""What the ledger keeps of dispatched scan workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.dispatch.states import Dispatch, DispatchOutcome
from cloudx.domain.tools import ScanType


@dataclass(frozen=True)
class OpenScan:
    """A scan that is not over, as the ledger has it."""

    scan_id: str
    type: ScanType
    pending: int
    leased: int
    max_workers: int | None
    waiting_reason: str | None


@dataclass(frozen=True)
class DispatchSnapshot:
    """All that the ledger knows for one planning of actions."""

    now: datetime
    scans: Sequence[OpenScan]  # highest priority first, then oldest
    dispatches: Sequence[Dispatch]  # the open ones, and the last ended ones of these scans
    leaving: frozenset[str]  # scans just completed that have dispatches

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to look after."""
        return not self.scans and not self.dispatches


class Dispatches(Protocol):
    """The ledger's rows about scan workers."""

    def snapshot(self) -> DispatchSnapshot:
        """Open scans and their dispatches at this moment."""
        ...

    def reserve(self, scan_id: str, serial: int, token: str) -> Dispatch:
        """Write the scan's row of this number. Raises Conflict when another process wrote it first."""
        ...

    def mark_sent(self, dispatch: Dispatch, nomad_job_id: str) -> None:
        """Note that Nomad has taken the dispatch as this job."""
        ...

    def end(self, dispatch: Dispatch, outcome: DispatchOutcome, detail: str | None = None) -> None:
        """End a dispatch; one that has ended before stays as it is, and the row of a deleted scan is removed."""
        ...

    def has_run(self, scan_id: str, worker_id: str) -> bool:
        """True if this worker ever leased a chunk of the scan."""
        ...

    def give_up_leases(self, scan_id: str, worker_id: str) -> None:
        """End the leases of a dead worker at once."""
        ...

    def notify(self) -> None:
        """Wake the leader, and the workers that wait for work, once this transaction is committed."""
        ...

    def set_waiting_reason(self, scan_id: str, waiting_reason: str | None) -> None:
        """Store why a scan does not go faster."""
        ...
