"""What splitting chunks needs from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudx.domain.chunks import ChunkSpan, Lease
from cloudx.domain.planning.stragglers import Running, Split
from cloudx.domain.tools import ScanType


@dataclass(frozen=True)
class ExhaustedScan:
    """A scan whose chunks are all claimed, while some of them still send."""

    id: str
    type: ScanType
    rate_pps: int
    max_workers: int | None


class Splits(Protocol):
    """Chunks that become several."""

    def exhausted(self) -> list[ExhaustedScan]:
        """Scans with nothing left to claim and something still sending, highest priority first."""
        ...

    def running(self, scan_id: str) -> list[Running]:
        """The scan's chunks that send now; those that only wait for late replies are not among them."""
        ...

    def working_nodes(self) -> set[str]:
        """Nodes that send for any scan now."""
        ...

    def revoke_and_split(self, scan_id: str, split: Split) -> bool:
        """End the straggler's lease and put its parts into the queue.

        False, having written nothing, when it is not this attempt's any more, when the scan is
        over, or when it has something to claim by now.
        """
        ...

    def returned(self, scan_id: str) -> list[tuple[ChunkSpan, int]]:
        """All that the scan has to claim, locked, with how often each was split; [] while others claim from it."""
        ...

    def cut_held(self, lease: Lease, parts: Sequence[ChunkSpan]) -> bool:
        """End a lease and put the parts of its chunk, by address, into the queue; False when it is lost."""
        ...

    def cut_pending(self, scan_id: str, parts: Sequence[ChunkSpan]) -> None:
        """Put the parts in the place of a pending chunk that is locked by this transaction."""
        ...
