"""What the search over all scans needs from the ledger: taking in what was found, and finding it again (ADR 0036)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from cloudx.domain.addresses import AddressSet, Network
from cloudx.domain.chunks import ChunkSpan

from .records import FindingKey, FindingRow


@dataclass(frozen=True)
class FreshChunk:
    """A chunk whose run is over, and which the search has not taken in."""

    scan_id: str
    span: ChunkSpan
    is_proven: bool  # nothing of it was excluded or left out, so what it did not find is closed
    started_at: datetime
    ended_at: datetime
    replaces: bool = False  # of a second stage: its findings took the place of the first's


class Stretch(NamedTuple):
    """Addresses and ports, each from one to another: the findings of a chunk, and no other of its scan."""

    first_ip: str
    last_ip: str
    first_port: int
    last_port: int


class Sighting(NamedTuple):
    """A port as a scan found it; `host_seen`: the scan that it is held against found its host up."""

    id: int
    ip: str
    protocol: str
    port: int
    state: str
    scan_id: str
    seen_at: datetime
    host_seen: bool = False

    @property
    def key(self) -> FindingKey:
        """Where it stands in the order of keys."""
        return self.ip, self.protocol, self.port


class ProvenSpan(NamedTuple):
    """A chunk that was completed, and when its attempt began."""

    span: ChunkSpan
    started_at: datetime


@dataclass(frozen=True)
class Query:
    """Which findings are asked for; None leaves all in. The texts match a part, in small and capital letters."""

    latest: bool = True
    networks: tuple[Network, ...] = ()  # in each of these
    ports: tuple[tuple[int, int], ...] = ()
    protocol: str | None = None
    service: str | None = None
    product: str | None = None
    hostname: str | None = None
    scan_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Place(NamedTuple):
    """Where a finding stands in the order of answers, which begins with the newest."""

    observed_at: datetime
    id: int


@dataclass(frozen=True)
class FoundRow:
    """A finding of an answer; `first_seen`: when a scan that is still kept saw the port first."""

    finding: FindingRow
    first_seen: datetime


@dataclass(frozen=True)
class FoundPage:
    """Some of an answer, and the place of the last of it where there is more."""

    rows: list[FoundRow]
    following: Place | None


class Sightings(Protocol):
    """One row for each finding, of which one is the latest of its address, protocol and port."""

    def begin(self) -> bool:
        """True if this transaction may write: no other does until it ends. All that write ask first."""
        ...

    def is_behind(self) -> bool:
        """True while something that a scan which is over found is not taken in, or a deletion not judged."""
        ...

    def fresh(self, limit: int) -> list[FreshChunk]:
        """Chunks that were not taken in, those that began first."""
        ...

    def window(self, scan_id: str, stretch: Stretch, after: FindingKey | None, rows: int) -> FindingKey | None:
        """The key of the last of the next `rows` findings; None where there is none."""
        ...

    def add(self, chunk: FreshChunk, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        """Take in the findings behind `after` up to `to`; those that are the newest of their port become its latest."""
        ...

    def forget_replaced(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        """Forget what was taken in of a window whose finding is another by now."""
        ...

    def shut_found_closed(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> None:
        """What a second stage found closed or filtered is no latest of its port."""
        ...

    def standing(
        self, scan_id: str, stretch: Stretch, before: datetime, after: FindingKey | None, limit: int
    ) -> list[Sighting]:
        """The latest of other scans, seen before then, which this scan did not find; by key, those behind `after`."""
        ...

    def standing_of(self, ids: Collection[int], scan_id: str) -> list[Sighting]:
        """Of these, those which this scan did not find."""
        ...

    def latest_of(self, scan_id: str, stretch: Stretch, after: FindingKey | None, to: FindingKey) -> list[Sighting]:
        """What of a window is the latest of its port."""
        ...

    def shut(self, ids: Collection[int]) -> None:
        """These are closed by now."""
        ...

    def mark(self, chunks: Sequence[FreshChunk]) -> None:
        """These are taken in."""
        ...

    def scans_since(self, moment: datetime) -> list[str]:
        """The scans that may have completed a chunk since then."""
        ...

    def proven(self, scan_id: str, first: int, last: int, since: datetime) -> list[ProvenSpan]:
        """The completed chunks with addresses from one offset to another that began since then, by address."""
        ...

    def deleted(self) -> tuple[str, AddressSet] | None:
        """A deleted scan whose addresses are to be judged again."""
        ...

    def undecided(self, first_ip: str, last_ip: str, after: FindingKey | None, limit: int) -> list[Sighting]:
        """The newest of each port that has no latest, by key, those behind `after`."""
        ...

    def promote(self, ids: Collection[int]) -> None:
        """These are the latest of their ports, unless those have one by now."""
        ...

    def judged(self, scan_id: str) -> None:
        """What a deleted scan leaves was judged."""
        ...

    def page(self, query: Query, after: Place | None, limit: int) -> FoundPage:
        """At most `limit`, newest first, those behind `after`."""
        ...
