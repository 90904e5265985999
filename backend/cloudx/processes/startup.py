"""What every long-running command does first. No typer here: a worker, which starts for each dispatch, uses it too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from cloudx.config import Settings, load_settings
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable

from .exits import exit_with, exit_with_error

DATABASE_WAIT_SECONDS = 60.0


def read_settings() -> Settings:
    """The settings; a bad one stops the start."""
    os.umask(0o077)  # what these processes write (database, scanner output) is nobody else's business
    try:
        return load_settings()
    except BadConfiguration as error:
        exit_with_error(error)


def wait_until(why_not: Callable[[], str | None]) -> None:
    """Ask again until there is nothing wrong; give up with the last reason after DATABASE_WAIT_SECONDS."""
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    last_reason = None
    while reason := why_not():
        if time.monotonic() > deadline:
            exit_with(reason, DependencyUnavailable.code)
        if reason != last_reason:
            _warn(reason)
        last_reason = reason
        time.sleep(1.0)


def _warn(reason: str) -> None:
    import structlog  # not before there is something to say

    structlog.get_logger().warning("database.waiting", reason=reason)
