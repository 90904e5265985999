"""A scan as lists have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cloudx.domain.scans import ScanStatus
from cloudx.domain.timing.holds import NO_HOLD, Hold
from cloudx.domain.tools import SCAN_TYPES, ScanType, Tool


@dataclass(frozen=True)
class ScanSummary:
    """A scan in a list: all that is small of it. Its addresses, ports and names may be megabytes."""

    id: str
    tool: Tool
    type_name: str
    target_text: str  # cut where it is long
    target_truncated: bool
    target_count: int  # addresses, the excluded included
    units_per_address: int
    excluded_addresses: int
    created_at: datetime
    status: ScanStatus
    name: str | None = None
    started_at: datetime | None = None
    error: str | None = None
    waiting_reason: str | None = None
    hold: Hold = NO_HOLD
    followed_by: str | None = None  # the id of its second stage
    then_type: str | None = None
    first_weight: float = 1.0
    follows: str | None = None  # of a second stage: the id of the first
    followed_units: int = 0

    @property
    def type(self) -> ScanType:
        """What the scan type needs and counts."""
        return SCAN_TYPES[self.tool, self.type_name]

    @property
    def planned_units(self) -> int:
        """All that was submitted, including the excluded, in probes or hosts; of a second stage what it was given."""
        return self.followed_units if self.follows else self.target_count * self.units_per_address
