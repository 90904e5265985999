"""The first steps of every command that runs for long. No typer: the worker uses it, and starts for each dispatch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from cloudx.config import Settings, load_settings
from cloudx.domain.errors import BadConfiguration, DependencyUnavailable

from .exits import exit_with, exit_with_error

DATABASE_WAIT_SECONDS = 60.0


def read_settings() -> Settings:
    """Read the settings; a bad setting ends the process."""
    os.umask(0o077)  # the database and the scanners' output are for this user alone
    try:
        return load_settings()
    except BadConfiguration as error:
        exit_with_error(error)


def wait_until(why_not: Callable[[], str | None]) -> None:
    """Call `why_not` until it returns None; after DATABASE_WAIT_SECONDS end the process with its last reason."""
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    warned = None
    while reason := why_not():
        if time.monotonic() > deadline:
            exit_with(reason, DependencyUnavailable.code)
        if reason != warned:
            _warn(reason)
        warned = reason
        time.sleep(1.0)


def _warn(reason: str) -> None:
    import structlog  # only here: most starts warn of nothing

    structlog.get_logger().warning("database.waiting", reason=reason)
