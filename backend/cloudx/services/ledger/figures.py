"""What the ledger tells of itself in numbers: its state now, and what its open scans have done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from cloudx.domain.tools import ScanType


@dataclass(frozen=True)
class LeaseFigures:
    """The chunks that workers hold. `overdue` are those whose lease has run out and that nobody has taken back."""

    held: int = 0
    overdue: int = 0
    first_ran_out_at: datetime | None = None  # of the overdue
    renewed_first_at: datetime | None = None  # of all held: the claim or renewal that is longest ago
    renewed_last_at: datetime | None = None


@dataclass(frozen=True)
class OpenScanFigures:
    """A scan that is not over."""

    scan_id: str
    type: ScanType
    created_at: datetime
    rate_pps: int
    granted_pps: int
    chunks_pending: int
    chunks_leased: int
    is_held: bool  # by a pause or its hours
    is_held_by_nomad: bool  # the dispatcher has written down why it does not go on
    is_backing_off: bool  # of the pending chunks none may be claimed yet


@dataclass(frozen=True)
class LedgerState:
    """The ledger at one moment of its own clock."""

    now: datetime
    leases: LeaseFigures
    scans: Sequence[OpenScanFigures]
    scans_by_status: Mapping[str, int]
    granted_pps: Mapping[str, int]  # by node, those without a grant left out
    dispatches: Mapping[str, int] = field(default_factory=dict)  # by state, the ended ones left out


class Total(StrEnum):
    """What is counted of a scan, from its beginning."""

    CHUNKS = "chunks"  # by outcome: done, failed
    ATTEMPTS = "attempts"  # by outcome, once they have ended
    RETRIES = "retries"  # attempts beyond each chunk's first
    UNITS = "units"  # by outcome: completed, failed, excluded; probes, or hosts for nmap
    PACKETS = "packets"  # sent by attempts that have ended, as the kernel counted them
    FINDINGS = "findings"
    DISPATCHES = "dispatches"  # by outcome, once they have ended


class TotalKey(NamedTuple):
    """One of the totals, by tool; `outcome` is empty where there is only one."""

    total: Total
    tool: str
    outcome: str = ""


Totals = Counter[TotalKey]


class Figures(Protocol):
    """Questions for operators. They only read, and cost nothing where no scan is open."""

    def state(self) -> LedgerState:
        """What there is now."""
        ...

    def totals(self, ended_since: datetime) -> dict[str, Totals]:
        """What the open scans have done so far, and those that ended since, by scan id."""
        ...
