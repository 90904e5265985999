"""What every long-running command does first. No typer here: a worker, which starts for each dispatch, uses it too."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from cloudx.config import Settings, load_settings
from cloudx.domain.errors import BadConfiguration

DATABASE_WAIT_SECONDS = 60.0


def read_settings() -> Settings:
    """The settings; a bad one stops the start."""
    os.umask(0o077)  # what these processes write (database, scanner output) is nobody else's business
    try:
        return load_settings()
    except BadConfiguration as error:
        stop_start(error.message, code=2)


def stop_start(message: str, code: int = 1) -> NoReturn:
    """End with one line that says why."""
    print(f"error: {message}", file=sys.stderr, flush=True)  # noqa: T201 - typer would cost a worker 0.1 s
    sys.exit(code)


def wait_until(why_not: Callable[[], str | None]) -> None:
    """Ask again until there is nothing wrong; give up with the last reason after DATABASE_WAIT_SECONDS."""
    deadline = time.monotonic() + DATABASE_WAIT_SECONDS
    said = None
    while reason := why_not():
        if time.monotonic() > deadline:
            stop_start(reason)
        if reason != said:
            _warn(reason)
        said = reason
        time.sleep(1.0)


def _warn(reason: str) -> None:
    import structlog  # not before there is something to say

    structlog.get_logger().warning("database.waiting", reason=reason)
