"""What the ledger keeps of named lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class TargetList:
    """Targets under a name that scans and schedules refer to."""

    id: str
    name: str
    targets: tuple[str, ...]
    created_at: datetime
    created_by: str


class TargetLists(Protocol):
    """Named lists of targets; a name is used once."""

    def all(self) -> list[TargetList]:
        """Every list, oldest first."""
        ...

    def named(self, name: str) -> TargetList | None:
        """The list of this name."""
        ...

    def add(self, made: TargetList) -> None:
        """Keep a list. Raises Conflict when another request added its name first."""
        ...

    def delete(self, list_id: str) -> bool:
        """Remove one; False when there was none."""
        ...
