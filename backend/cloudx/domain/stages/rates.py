"""How two stages share the rate that was asked for their scan."""

from __future__ import annotations

from cloudx.domain.errors import InvalidInput
from cloudx.domain.tools import UNBOUNDED_PPS, ScanType

SECOND_SHARE = 8  # one part of so many, while the first stage runs: it has a thousand probes for each of the second's


def split_rate(asked_pps: int | None, first_pps: int, second: ScanType) -> tuple[int, int]:
    """Packets per second of the first and of the second stage, together never more than was asked.

    Without an asked rate each keeps to its tool's own rule, and so does a second stage whose version and script probes
    nothing holds to a rate. Raises InvalidInput for a rate that cannot be shared.
    """
    if asked_pps is None or second.unheld_pps:
        return first_pps, UNBOUNDED_PPS
    if asked_pps == 1:
        raise InvalidInput("rate", "Two stages share the rate of their scan: ask for 2 packets per second at least.")
    second_pps = max(1, asked_pps // SECOND_SHARE)
    return first_pps - second_pps, second_pps
