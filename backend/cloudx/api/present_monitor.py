"""This machine's figures and the latency of another one, as the frontend's monitor reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cloudx.services.fleet.ports import HostSample, RoundTrip

_FIGURES = ("cpu", "memory", "disk", "network")


def show_host(samples: Sequence[HostSample]) -> dict[str, list[dict[str, Any]]]:
    """A series for each figure, in percent, in the order of the samples."""
    return {
        name: [
            {"value": sample.percent[name], "timestamp": sample.unix_ms, "isSpike": name in sample.spikes}
            for sample in samples
        ]
        for name in _FIGURES
    }


def show_latency(round_trips: Sequence[RoundTrip]) -> dict[str, Any]:
    """The round trips in milliseconds; one that says "not reachable" where there is none."""
    network = [_point(trip.milliseconds, trip.unix_ms, reachable=True) for trip in round_trips]
    return {"network": network or [_point(0, int(time.time() * 1000), reachable=False)], "is_agentless": True}


def _point(milliseconds: float, unix_ms: int, reachable: bool) -> dict[str, Any]:
    return {"value": milliseconds, "timestamp": unix_ms, "isSpike": False, "reachable": reachable}
