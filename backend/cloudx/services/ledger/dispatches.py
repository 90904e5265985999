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
    """What the ledger has to decide on."""

    now: datetime
    scans: Sequence[OpenScan]  # highest priority first, then oldest
    dispatches: Sequence[Dispatch]  # those not ended, and the last ended ones of these scans
    leaving: frozenset[str]  # scans just completed that have dispatches

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to look after."""
        return not self.scans and not self.dispatches


class Dispatches(Protocol):
    """The ledger's rows about scan workers."""

    def snapshot(self) -> DispatchSnapshot:
        """What there is to decide on, at this moment."""
        ...

    def reserve(self, scan_id: str, token: str) -> Dispatch:
        """Write the scan's next row. Raises Conflict where somebody else wrote it at the same moment."""
        ...

    def mark_sent(self, dispatch: Dispatch, nomad_job_id: str) -> None:
        """Nomad has it."""
        ...

    def end(self, dispatch: Dispatch, outcome: DispatchOutcome, detail: str | None = None) -> None:
        """It is over; nothing where it was before. The row of a scan that is gone goes too."""
        ...

    def has_run(self, scan_id: str, worker_id: str) -> bool:
        """Whether a worker ever took a chunk of a scan."""
        ...

    def give_up_leases(self, scan_id: str, worker_id: str) -> None:
        """Let the leases of a worker that is dead run out at once."""
        ...

    def notify(self) -> None:
        """Have whose turn it is look at once, when this transaction is committed."""
        ...

    def set_waiting_reason(self, scan_id: str, waiting_reason: str | None) -> None:
        """Store why a scan does not go faster."""
        ...
