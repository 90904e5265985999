"""What the second stage of a scan needs from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudx.domain.chunks import ChunkSpan, Lease
from cloudx.domain.findings import Found
from cloudx.domain.stages.follow_ups import FollowUp
from cloudx.domain.stages.progress import Followed

from .records import SummaryRecord


@dataclass(frozen=True)
class SecondStage:
    """Where the second stage of a scan stands; `followed` is where it works now, None with nothing left to do."""

    record: SummaryRecord
    followed: Followed | None
    warnings: tuple[str, ...] = ()


class Stages(Protocol):
    """Second stages: scans of their own in the ledger, which get their chunks from the findings of the first."""

    def lock(self, second_id: str) -> None:
        """Let nobody add to this second stage, or end it, until the transaction ends; before the chunk is finished."""
        ...

    def add(self, lease: Lease, second_id: str, parts: Sequence[FollowUp], warning: str | None) -> bool:
        """Queue what follows from the chunk of the first stage that this transaction finishes.

        False, having written nothing, where the scan is over.
        """
        ...

    def part_of(self, second_id: str, span: ChunkSpan) -> FollowUp:
        """What a chunk of a second stage covers. Raises LookupError where there is no such chunk."""
        ...

    def parts_of(self, second_id: str, spans: Sequence[ChunkSpan]) -> list[FollowUp]:
        """The same of several, one at least, in their order."""
        ...

    def replace_findings(self, lease: Lease, public_id: str, findings: Iterable[Found]) -> int:
        """Write what a chunk of a second stage found in the place of the first's rows; returns how many findings."""
        ...

    def standing(self, second_ids: Sequence[str]) -> Mapping[str, SecondStage]:
        """Where these stand, by id."""
        ...

    def give_whole_rate(self) -> None:
        """Let the second stages of which the first is settled have all of the rate that was asked for both."""
        ...
