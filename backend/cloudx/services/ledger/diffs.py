"""What comparing two scans needs from the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cloudx.domain.addresses import AddressSet
from cloudx.domain.chunks import ChunkSpan
from cloudx.domain.diff.changes import Change

from .records import FindingKey, FindingRow


@dataclass(frozen=True)
class Compared:
    """Two scans, and what is compared of them."""

    before_id: str
    after_id: str
    versions: bool  # both asked services for their product and version
    hosts: bool  # the second tells which hosts it found up (nmap)


@dataclass(frozen=True)
class Window:
    """The keys behind `after` up to `to`; None: from the first, to the last."""

    after: FindingKey | None
    to: FindingKey | None


class Gone(NamedTuple):
    """A key that the first scan alone has, with the state there."""

    ip: str
    protocol: str
    port: int
    state: str
    host_seen: bool  # the second scan found its host up


class FindingPair(NamedTuple):
    """What each scan has of a key; at least one is there."""

    key: FindingKey
    before: FindingRow | None
    after: FindingRow | None


class FindingPairs(Protocol):
    """Pairs in order, each made when it is asked for: the transaction may be over by then."""

    @property
    def gone(self) -> Sequence[Gone]:
        """Those that the first scan alone has."""
        ...

    def __iter__(self) -> Iterator[FindingPair]:
        """Yield each."""
        ...


@dataclass(frozen=True)
class WindowCount:
    """What a window holds; `doubtful`: pairs whose extra fields differ, perhaps in product or version."""

    opened: int
    changed: int
    unchanged: int
    doubtful: int
    gone: tuple[Gone, ...]


class Diffs(Protocol):
    """The findings of two scans side by side, in the order of result pages."""

    def window(self, compared: Compared, after: FindingKey | None, rows: int) -> Window:
        """The longest window behind `after` with at most that many findings of either scan; it has one at least."""
        ...

    def pairs(self, compared: Compared, window: Window, changes: Collection[Change]) -> FindingPairs:
        """The pairs of a window that may be one of these changes, in order."""
        ...

    def count(self, compared: Compared, window: Window) -> WindowCount:
        """All pairs of a window."""
        ...

    def folded(self, scan_id: str, first_ip: str, last_ip: str) -> AddressSet:
        """The hosts of a scan, from one address to another at least, that answered on every port (tarpits.py)."""
        ...

    def gaps(self, scan_id: str, after: int, limit: int) -> list[ChunkSpan]:
        """Chunks by number, those after `after`, that are not done or of which a part was not probed."""
        ...

    def are_whole(self, scan_ids: Collection[str]) -> bool:
        """False once one of these scans is deleted, or its removal has begun."""
        ...
