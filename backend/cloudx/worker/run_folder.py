"""The private folder of a worker's runs, and the removal of what killed workers left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

_LOCK_NAME = "alive"


class RunFolder:
    """A folder that counts as in use for as long as its worker lives: the kernel drops the lock with it."""

    def __init__(self, parent: Path) -> None:
        """Make one below `parent`, and remove those whose workers are gone."""
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in parent.iterdir():
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        self.path = Path(tempfile.mkdtemp(prefix="worker-", dir=parent))
        self._lock: IO[str] = open(self.path / _LOCK_NAME, "w")  # noqa: SIM115 - held until remove()
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _is_abandoned(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR)
    except OSError:
        return False  # it is being made right now, or it is not ours
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
