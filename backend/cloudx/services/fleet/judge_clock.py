"""Tell whether this machine's clock is right: findings carry the time of the machine that saw them."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloudx.domain.errors import CloudxError
from cloudx.domain.nodes import Check, CheckStatus
from cloudx.services.ledger.ledger import OpenLedger

TOLERATED_SECONDS = 2.0  # the API's Date header tells whole seconds
UNFIT_SECONDS = 60.0  # what it found would seem to come from before the scan, or from the future
KNOWN_SECONDS = 30.0
_REMEDY = "Let the machine set its clock, as by `timedatectl set-ntp true`"


def judge_clock(ahead_seconds: float | None, whose: str = "the API") -> Check:
    """`ahead_seconds` is this clock minus theirs; None until they have answered."""
    if ahead_seconds is None:
        return _check(CheckStatus.PASSING, f"{whose} has not answered yet, so there is nothing to compare with")
    if abs(ahead_seconds) <= TOLERATED_SECONDS:
        return _check(CheckStatus.PASSING, f"within {TOLERATED_SECONDS:g} s of {whose}'s clock")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    off = f"this clock is {abs(ahead_seconds):.0f} s {side} {whose}'s: the times of what is found here"
    if abs(ahead_seconds) <= UNFIT_SECONDS:
        return _check(CheckStatus.WARNING, f"{off} are off by as much. {_REMEDY}")
    return _check(CheckStatus.CRITICAL, f"{off} would be wrong, so nothing is scanned from here. {_REMEDY}")


class LedgerClock:
    """How far this machine's clock is from the database's, asked now and then."""

    def __init__(self, open_ledger: OpenLedger, clock: Callable[[], float] = time.time) -> None:
        self._open_ledger = open_ledger
        self._clock = clock
        self._ahead_seconds: float | None = None
        self._asked_at = float("-inf")

    def __call__(self) -> Check:
        """By the last answer, while the database is away."""
        if time.monotonic() > self._asked_at + KNOWN_SECONDS:
            self._asked_at = time.monotonic()
            try:
                self._ahead_seconds = self._ask()
            except CloudxError:
                self._asked_at = float("-inf")
        return judge_clock(self._ahead_seconds, "the database")

    def _ask(self) -> float:
        with self._open_ledger(read_only=True) as ledger:
            ledger.now()  # the first one may have to connect
            before, there, after = self._clock(), ledger.now().timestamp(), self._clock()
        return (before + after) / 2 - there


def _check(status: CheckStatus, output: str) -> Check:
    return Check("clock", "clock", status, output)
