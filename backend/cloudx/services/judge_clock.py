"""Tell whether this machine's clock agrees with the API's: findings carry the time of the machine that saw them."""

from __future__ import annotations

from cloudx.domain.nodes import Check, CheckStatus

TOLERATED_SECONDS = 2.0  # the API's Date header tells whole seconds


def judge_clock(ahead_seconds: float | None) -> Check:
    """`ahead_seconds` is this clock minus the API's; None until the API has answered."""
    if ahead_seconds is None:
        return _check(CheckStatus.PASSING, "the API has not answered yet, so there is nothing to compare with")
    if abs(ahead_seconds) <= TOLERATED_SECONDS:
        return _check(CheckStatus.PASSING, f"within {TOLERATED_SECONDS:g} s of the API's clock")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    remedy = (
        f"this clock is {abs(ahead_seconds):.0f} s {side} the API's: the times of what is found here are off by as "
        "much. Let the machine set its clock, as by `timedatectl set-ntp true`"
    )
    return _check(CheckStatus.WARNING, remedy)


def _check(status: CheckStatus, output: str) -> Check:
    return Check("clock", "clock", status, output)
