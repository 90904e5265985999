"""Exponential back-off, the one shape of it: https://en.wikipedia.org/wiki/Exponential_backoff."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_DOUBLINGS = 32  # 2**32 of any first pause is over every longest one; a float never overflows


@dataclass(frozen=True)
class Backoff:
    """The pause before the next try: `first_seconds` after one failure, doubled by each further one."""

    first_seconds: float
    longest_seconds: float

    def seconds_after(self, failures: int) -> float:
        """Seconds to pause after this many failures in a row (1 or more)."""
        doublings = min(max(0, failures - 1), _MAX_DOUBLINGS)
        return float(min(self.longest_seconds, self.first_seconds * 2.0**doublings))

    def jittered_after(self, failures: int, random_share: float) -> float:
        """From half of that pause to all of it, by a random share from 0 to 1, so that many clients spread out."""
        return self.seconds_after(failures) * (0.5 + 0.5 * random_share)
