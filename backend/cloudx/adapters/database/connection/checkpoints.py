"""Copy SQLite's write-ahead log into its file beside the work: a commit would do so itself, and wait for the disk.

https://sqlite.org/wal.html, "Checkpointing".
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

_LOG_BYTES = 4 << 20  # as SQLite's own 1,000 pages
_PAUSE_SECONDS = 1.0
PRAGMAS = (
    "wal_autocheckpoint=16000",  # pages, 64 MB: then a commit does it after all
    f"journal_size_limit={_LOG_BYTES}",  # what the log shrinks to when it is begun anew
)


class Checkpoints:
    """The checkpoints of one process on one file."""

    def __init__(self, file: str) -> None:
        self._log = Path(f"{file}-wal")
        self._uri = f"{Path(file).absolute().as_uri()}?mode=rw"  # or a file that has just been deleted would come back
        self._is_free = threading.Lock()
        self._next_at = 0.0

    def follow(self, engine: Engine) -> None:
        """Look whether one is due each time that a connection is given back."""
        event.listen(engine, "checkin", self._look)

    def _look(self, _connection: Any, _record: Any) -> None:
        if time.monotonic() < self._next_at:
            return
        with suppress(FileNotFoundError):
            if self._log.stat().st_size > _LOG_BYTES and self._is_free.acquire(blocking=False):
                threading.Thread(target=self._checkpoint, name="checkpoint", daemon=True).start()

    def _checkpoint(self) -> None:
        try:
            with suppress(sqlite3.Error), closing(sqlite3.connect(self._uri, uri=True)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            self._next_at = time.monotonic() + _PAUSE_SECONDS
            self._is_free.release()
