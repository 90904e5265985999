"""The lock that allows one run in a checkout. A second run fails, or waits if the first is ending."""

from __future__ import annotations

import fcntl
import os
import time
from typing import IO

from cloudx.domain.errors import BadConfiguration

from .layout import DevFolder

LEAVING = "leaving"
WAIT_SECONDS = 90.0


def claim(folder: DevFolder) -> IO[str]:
    """Take the lock, which lasts until the caller closes the file. Raises BadConfiguration if another run has it."""
    lock = os.fdopen(os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")
    deadline = time.monotonic() + WAIT_SECONDS
    while not _try(lock):
        lock.seek(0)
        if lock.read() != LEAVING or time.monotonic() > deadline:
            lock.close()
            raise BadConfiguration(f"another `make dev` runs in {folder.checkout}. Stop it with Ctrl-C there.")
        time.sleep(0.2)
    lock.truncate(0)
    return lock


def say_leaving(lock: IO[str]) -> None:
    """Tell a run that starts now to wait for this one to end."""
    lock.truncate(0)
    lock.write(LEAVING)
    lock.flush()


def _try(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
