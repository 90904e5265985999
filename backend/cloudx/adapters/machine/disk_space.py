"""Whether there is room for what scanners write."""

from __future__ import annotations

import os
from pathlib import Path

from cloudx.domain.nodes import Check, CheckStatus

NEEDED_BYTES = 64 << 20  # a dense chunk at 20,000 packets/s writes half of it


def disk_check(folder: Path) -> Check:
    """The check `disk` for the disk of a folder, which need not exist yet; takes microseconds."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    disk = os.statvfs(existing)
    if disk.f_bavail * disk.f_frsize >= NEEDED_BYTES:
        return Check("disk", "disk space", CheckStatus.PASSING, f"over {NEEDED_BYTES >> 20} MB free for {folder}")
    remedy = (
        f"the disk of {folder} is full (under {NEEDED_BYTES >> 20} MB free): what is found could not be kept, so "
        "nothing is scanned from here. Free some space; it goes on by itself then"
    )
    return Check("disk", "disk space", CheckStatus.CRITICAL, remedy)
