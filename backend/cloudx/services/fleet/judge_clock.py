"""Tell whether this machine's clock is right: findings carry the time of the machine that saw them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cloudx.domain.errors import CloudxError
from cloudx.domain.nodes import Check, CheckStatus
from cloudx.services.ledger.ledger import OpenLedger

TOLERATED_SECONDS = 2.0  # the API's Date header tells whole seconds
UNFIT_SECONDS = 60.0  # what it found would seem to come from before the scan, or from the future
KNOWN_SECONDS = 30.0
_REMEDY = "Let the machine set its clock, as by `timedatectl set-ntp true`"


def judge_clock(ahead_seconds: float | None, whose: str = "the API") -> Check:
    """The check `clock`; `ahead_seconds` is this clock minus the other one, None before the other has answered."""
    if ahead_seconds is None:
        return _check(CheckStatus.PASSING, f"{whose} has not answered yet, so there is nothing to compare with")
    if abs(ahead_seconds) <= TOLERATED_SECONDS:
        return _check(CheckStatus.PASSING, f"within {TOLERATED_SECONDS:g} s of {whose}'s clock")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    off = f"this clock is {abs(ahead_seconds):.0f} s {side} {whose}'s: the times of what is found here"
    if abs(ahead_seconds) <= UNFIT_SECONDS:
        return _check(CheckStatus.WARNING, f"{off} are off by as much. {_REMEDY}")
    return _check(CheckStatus.CRITICAL, f"{off} would be wrong, so nothing is scanned from here. {_REMEDY}")


@dataclass
class _LastComparison:
    """How far ahead this clock was at the last comparison, and when that was, by the monotonic clock."""

    ahead_seconds: float | None = None
    made_at: float = float("-inf")


@dataclass(frozen=True)
class CheckClock:
    """Compares this machine's clock with the database's, at most each KNOWN_SECONDS."""

    open_ledger: OpenLedger
    clock: Callable[[], float] = time.time
    _last: _LastComparison = field(default_factory=_LastComparison)

    def __call__(self) -> Check:
        """The check as of now; while the database is away, as of the last comparison."""
        last = self._last
        if time.monotonic() > last.made_at + KNOWN_SECONDS:
            last.made_at = time.monotonic()
            try:
                last.ahead_seconds = self._compare()
            except CloudxError:
                last.made_at = float("-inf")
        return judge_clock(last.ahead_seconds, "the database")

    def _compare(self) -> float:
        with self.open_ledger(read_only=True) as ledger:
            ledger.now()  # the first one may have to connect
            before, there, after = self.clock(), ledger.now().timestamp(), self.clock()
        return (before + after) / 2 - there


def _check(status: CheckStatus, output: str) -> Check:
    return Check("clock", "clock", status, output)
