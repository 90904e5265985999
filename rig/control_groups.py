"""Removes the control groups of tasks whose Nomad was killed before it could remove them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .layout import RigFolder

_ROOT = Path("/sys/fs/cgroup")


def remove_control_groups(folder: RigFolder) -> None:
    """Remove those of the allocations on the rig's disks alone: another Nomad may run on the machine."""
    ours = {place.name for place in folder.machines.glob("cxvps*/nomad/alloc/*")}
    # Version 1: a tree for each controller (cpu/nomad/ID.task). Version 2: a single tree (nomad.slice/…/ID.task.scope).
    for group in (*_ROOT.glob("*/nomad/*.*"), *_ROOT.glob("nomad.slice/*/*.*.scope")):
        if group.name.partition(".")[0] in ours:
            with contextlib.suppress(OSError):  # gone meanwhile
                group.rmdir()
