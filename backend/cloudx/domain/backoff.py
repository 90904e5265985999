"""Exponential back-off, the one shape of it: https://en.wikipedia.org/wiki/Exponential_backoff."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_STEPS = 64  # of any factor in use that is over every longest pause, and no float overflows


@dataclass(frozen=True)
class Backoff:
    """The pause before the next try: `first_seconds` after one failure, times `factor` for each further one."""

    first_seconds: float
    longest_seconds: float
    factor: float = 2.0

    def seconds_after(self, failures: int) -> float:
        """Seconds to pause after this many failures in a row (1 or more)."""
        steps = min(max(0, failures - 1), _MAX_STEPS)
        return float(min(self.longest_seconds, self.first_seconds * self.factor**steps))

    def jittered_after(self, failures: int, random_share: float) -> float:
        """From half of that pause to all of it, by a random share from 0 to 1, so that many clients spread out."""
        return self.seconds_after(failures) * (0.5 + 0.5 * random_share)
