"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(holds: Callable[[], Any], seconds: float, explain: Callable[[], Any] = lambda: "") -> None:
    """Wait until a condition holds. Raises AssertionError with an explanation if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {_ends_of(str(explain()))}"
        time.sleep(0.1)


def _ends_of(text: str) -> str:
    """A scan tells all of its results, in the middle of what is worth reading."""
    return text if len(text) <= 5000 else f"{text[:1000]} … {text[-4000:]}"
