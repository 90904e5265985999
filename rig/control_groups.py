"""The control groups of tasks whose Nomad was killed: it would have removed them itself."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .layout import RigFolder

_ROOT = Path("/sys/fs/cgroup")


def remove_control_groups(folder: RigFolder) -> None:
    """Those of the allocations on the rig's own disks, and no others: another Nomad may run on the machine."""
    ours = {place.name for place in folder.machines.glob("cxvps*/nomad/alloc/*")}
    # Version 1 has a tree a controller (cpu/nomad/ID.task), version 2 one tree (nomad.slice/share.slice/ID.task.scope).
    for group in (*_ROOT.glob("*/nomad/*.*"), *_ROOT.glob("nomad.slice/*/*.*.scope")):
        if group.name.partition(".")[0] in ours:
            with contextlib.suppress(OSError):  # gone meanwhile
                group.rmdir()
