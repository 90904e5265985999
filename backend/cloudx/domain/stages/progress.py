"""One bar for two stages: each by the work it is expected to be, and neither ever takes back what it showed."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.coverage import Coverage
from cloudx.domain.tools import ScanType

# Guesses that weigh the stages against each other, nothing else: the bar's pace, never its end, follows from them.
OPEN_SHARE = 0.001  # of the probes, over the Internet's addresses
SECONDS_ASKED = 1.0  # of one run, for each open port that is asked for its version
SECONDS_PROBED = 0.05
LEAST_WEIGHT, MOST_WEIGHT = 0.2, 0.8  # of the first stage


@dataclass(frozen=True)
class Followed:
    """A step of what follows: the units of the second stage from `before` on stand for these of the first.

    The first stage's settled units map to the second stage's: what followed nothing is done with its own chunk, and a
    chunk with open ports is done to the degree to which they are.
    """

    units_before: int
    units: int
    settled_before: float
    settled_after: float

    def settled_at(self, done_units: float) -> float:
        """The settled units of the first stage with all that follows of them, when so many of the second are done."""
        share = min(1.0, max(0.0, (done_units - self.units_before) / self.units)) if self.units else 1.0
        return self.settled_before + share * (self.settled_after - self.settled_before)


def first_weight(probes: int, rate_pps: float, scan_type: ScanType, runs: int) -> float:
    """The first stage's part of the bar (0–1), for so many probes at a rate, when `runs` of nmap go side by side."""
    first_seconds = probes / max(1.0, rate_pps)
    each = SECONDS_ASKED if scan_type.asks_versions else SECONDS_PROBED
    second_seconds = probes * OPEN_SHARE * each / max(1, runs)
    whole = first_seconds + second_seconds
    return min(MOST_WEIGHT, max(LEAST_WEIGHT, first_seconds / whole)) if whole else MOST_WEIGHT


def stages_percent(
    first: Coverage, in_flight_units: float, settled_with_rest: float, weight: float, *, is_over: bool
) -> float:
    """0–100 with one decimal, 100 only when both stages are over.

    `settled_with_rest` are the units of the first stage of which all that follows is done, the excluded included.
    """
    if is_over or first.planned == 0:
        return 100.0
    settled = first.planned - first.remaining + min(in_flight_units, first.remaining)
    share = weight * settled / first.planned + (1 - weight) * min(settled, settled_with_rest) / first.planned
    return min(99.9, int(share * 1000) / 10)
