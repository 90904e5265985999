"""How much of what nodes may send is granted: nodes by band, so that thousands of them make a handful of figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class RateBand(StrEnum):
    """The share of its limit that a node is granted."""

    NONE = "none"
    UP_TO_25 = "up_to_25"
    UP_TO_50 = "up_to_50"
    UP_TO_75 = "up_to_75"
    UP_TO_95 = "up_to_95"
    FULL = "full"


_HIGHEST = ((0.25, RateBand.UP_TO_25), (0.5, RateBand.UP_TO_50), (0.75, RateBand.UP_TO_75), (0.95, RateBand.UP_TO_95))


def band_of(granted_pps: int, limit_pps: int) -> RateBand:
    """The band of one node; `full` above 95 %, for a sixteenth of a limit is kept for quick scans."""
    if granted_pps <= 0:
        return RateBand.NONE
    return next((band for share, band in _HIGHEST if granted_pps <= share * limit_pps), RateBand.FULL)


def bands_of(nodes: Iterable[tuple[int, int]]) -> dict[RateBand, int]:
    """How many nodes are in each band, by (granted, limit) of each; every band is there."""
    counted = Counter(band_of(granted_pps, limit_pps) for granted_pps, limit_pps in nodes)
    return {band: counted[band] for band in RateBand}
