"""A percentage that moves between two answers of the API as the scan itself does."""

from __future__ import annotations

HORIZON_SECONDS = 3.0  # the most to extrapolate past the last answer: a little over the longest pause


class SmoothPercent:
    """Extrapolates from the API's progress and time left; never past what they imply, and never backwards."""

    def __init__(self) -> None:
        self._percent = 0.0
        self._per_second = 0.0
        self._observed_at = 0.0
        self._shown = 0.0

    def observe(self, percent: float, eta_seconds: float | None, now: float) -> None:
        """Take the API's figures; times are monotonic seconds."""
        if percent >= 100.0 or percent < self._percent:  # the probes of a lost chunk count as undone
            self._shown = percent
        self._percent, self._observed_at = percent, now
        self._per_second = (100.0 - percent) / eta_seconds if eta_seconds else 0.0

    def at(self, now: float) -> float:
        """The percentage to show now."""
        ahead_seconds = min(max(0.0, now - self._observed_at), HORIZON_SECONDS)
        guess = min(99.9, self._percent + self._per_second * ahead_seconds)
        self._shown = max(self._shown, guess)
        return self._shown
