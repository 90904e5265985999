"""How long things are kept, and how many rows may be removed at once."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BATCH_ROWS = 1_000
MOST_BATCH_ROWS = 20_000
# A batch holds its rows' locks, on SQLite the whole file's: nobody is to wait for it for a tenth of a second.
MOST_BATCH_SECONDS = 0.1


@dataclass(frozen=True)
class Retention:
    """Ages in days after which things are removed; None: never."""

    scans_days: float | None = None  # since the scan was over: with its findings, hosts, chunks and attempts
    audit_days: float | None = None

    @property
    def keeps_everything(self) -> bool:
        """True when nothing is ever removed."""
        return self.scans_days is None and self.audit_days is None


def next_batch_rows(rows: int, seconds: float) -> int:
    """The size of the next batch, after one of `rows` took that long: about half of what is allowed."""
    if seconds > MOST_BATCH_SECONDS / 2:
        return max(1, rows // 2)
    return min(MOST_BATCH_ROWS, rows * 2) if seconds < MOST_BATCH_SECONDS / 8 else rows
