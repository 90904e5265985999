"""What the ledger keeps of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from cloudx.domain.scans import ScanStatus
from cloudx.domain.timing.schedules import Schedule


class Schedules(Protocol):
    """Schedules, each with the next tick that nobody has served; a name is used once."""

    def all(self) -> list[Schedule]:
        """Every schedule, oldest first."""
        ...

    def due(self, now: datetime) -> list[Schedule]:
        """Those with a tick that is due or queued, the longest due first."""
        ...

    def lock(self, schedule_id: str) -> Schedule | None:
        """One schedule, locked until the transaction ends."""
        ...

    def add(self, schedule: Schedule) -> None:
        """Keep a schedule. Raises Conflict when another request took its name first."""
        ...

    def save(self, schedule: Schedule) -> None:
        """Replace one. Raises Conflict where another has its name."""
        ...

    def delete(self, schedule_id: str) -> bool:
        """Remove one; False when there was none."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...

    def statuses(self, schedules: list[Schedule]) -> dict[str, ScanStatus]:
        """The status of each scan that they submitted last and that is still there, by scan."""
        ...
