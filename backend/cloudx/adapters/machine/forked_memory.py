"""Memory that a process and all that it forks share, and the one of them that writes it."""

from __future__ import annotations

import fcntl
import os


class ForkedMemory:
    """A file that has no name (memfd_create(2)); make it before the fork.

    One process writes: the one that holds the lock of the file, which the kernel frees when that process dies.
    """

    def __init__(self, name: str) -> None:
        self.file = os.memfd_create(f"cloudx-{name}")

    def is_mine(self) -> bool:
        """Whether this process is the one that writes; the first that asks is, for as long as it lives."""
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
