"""The proof that nothing was left out: planned = completed + excluded + failed + remaining."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .addresses import AddressSet


@dataclass(frozen=True)
class Coverage:
    """Probes (or hosts, for nmap) by what became of them; `remaining` is 0 once a scan has run to its end."""

    planned: int
    completed: int = 0
    excluded: int = 0
    failed: int = 0
    remaining: int = 0
    not_reached: int = 0  # what remained at the end, and of the failed what was given up at the scan's own time limit

    def __add__(self, other: Coverage) -> Coverage:
        """The sums of two stages."""
        sums = (getattr(self, one.name) + getattr(other, one.name) for one in fields(Coverage))
        return Coverage(*sums)

    @property
    def balances(self) -> bool:
        """True when every planned unit is accounted for exactly once."""
        return self.planned == self.completed + self.excluded + self.failed + self.remaining


@dataclass(frozen=True)
class Unprobed:
    """Addresses of a chunk that a run did not probe although it ended well, and the tool's words for it."""

    addresses: AddressSet
    reason: str
    timed_out: int = 0  # how many of them were given up at the scan's own time limit


def progress_percent(coverage: Coverage, in_flight_units: float) -> float:
    """0–100 with one decimal; 100 only when nothing remains. In flight: sent by chunks not yet committed."""
    if coverage.planned == 0 or coverage.remaining == 0:
        return 100.0
    finished = coverage.completed + coverage.excluded + coverage.failed
    share = (finished + min(in_flight_units, coverage.remaining)) / coverage.planned
    return min(99.9, int(share * 1000) / 10)
