"""Poll a server until it answers as it should."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from cloudx.domain.errors import ClusterUnavailable

PAUSE_SECONDS = 0.1


class Interrupted(Exception):
    """The run was told to stop while it waited."""


def wait_until(ready: Callable[[], bool], what: str, seconds: float, interrupted: Callable[[], str | bool]) -> None:
    """Wait until `ready`. Raises ClusterUnavailable if it takes too long or a server died, or Interrupted."""
    deadline = time.monotonic() + seconds
    while not ready():
        reason = interrupted()
        if reason is True:
            raise Interrupted
        if reason:
            raise ClusterUnavailable(f"{reason} ended while we waited for {what}. Its log is .dev/logs/{reason}.log.")
        if time.monotonic() > deadline:
            raise ClusterUnavailable(f"{what} is not there after {seconds:.0f} s. The logs are in .dev/logs/.")
        time.sleep(PAUSE_SECONDS)


def answers(url: str, headers: dict[str, str] | None = None, containing: bytes = b"") -> bool:
    """True if a GET of our own loopback URL succeeds with a body that is not empty and holds `containing`."""
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - our own loopback URL
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310 - as above
            body = answer.read()
            return bool(body.strip(b'" \n')) and containing in body
    except (urllib.error.URLError, OSError):
        return False
