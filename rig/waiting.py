"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], seconds: float, explain: Callable[[], Any] = lambda: "") -> None:
    """Wait until a condition holds. Raises AssertionError with an explanation if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {explain()}"
        time.sleep(0.1)
