"""What rate a machine can send at: what was measured, what its link carries, and what its owner allows."""

from __future__ import annotations

from dataclasses import dataclass

from cloudx.domain.nodes import Check, CheckStatus

_PROBE_BITS = 84 * 8  # the smallest Ethernet frame, with its preamble and the gap after it


@dataclass(frozen=True)
class SendMeasure:
    """What a machine was measured to send; None before the measurement, and `problem` says why there is none."""

    measured_pps: int | None
    problem: str = ""
    link: str = ""  # the interface packets leave by
    link_mbit: int | None = None  # None: the driver does not say


def judge_send_rate(measure: SendMeasure, allowed_pps: int) -> tuple[int | None, Check]:
    """The node's limit in packets per second, None while it is unknown, and the check that tells its origin."""
    if measure.problem:
        return None, _check(CheckStatus.WARNING, f"what it can send cannot be measured: {measure.problem}")
    if measure.measured_pps is None:
        return None, _check(CheckStatus.PASSING, "what it can send is being measured")
    bounds = [(measure.measured_pps, "measured on its loopback")]
    if measure.link_mbit is not None:
        carried = f"what the {measure.link_mbit:,} Mbit/s of {measure.link} carry"
        bounds.append((measure.link_mbit * 1_000_000 // _PROBE_BITS, carried))
    bounds.append((allowed_pps, "CLOUDX_NODE_RATE_LIMIT_PPS"))
    limit, why = min(bounds)
    more = "" if limit == measure.measured_pps else f"; {measure.measured_pps:,} measured on its loopback"
    return limit, _check(CheckStatus.PASSING, f"can send {limit:,} packets/s ({why}{more})")


def _check(status: CheckStatus, output: str) -> Check:
    return Check("send-rate", "send rate", status, output)
