"""A small file system for each VPS, so that a test can fill it without harm to anything else."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

from .layout import RigFolder
from .network import run

SIZE = "256m"  # of memory, if filled
BALLAST = "ballast"


def add_disk(folder: RigFolder, machine: str) -> None:
    """Mount an empty file system for a machine."""
    place = folder.disk_of(machine)
    place.mkdir(mode=0o700, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", f"cloudx-rig-{machine}", str(place))


def fill(folder: RigFolder, machine: str) -> None:
    """Write until nothing more fits on a machine's disk."""
    with (
        open(folder.disk_of(machine) / BALLAST, "wb", buffering=0) as ballast,
        contextlib.suppress(OSError),
    ):
        while True:
            ballast.write(b"x" * (1 << 20))
    with open(folder.disk_of(machine) / BALLAST, "ab", buffering=0) as rest, contextlib.suppress(OSError):
        while True:
            rest.write(b"x" * 4096)


def free(folder: RigFolder, machine: str) -> None:
    """Remove what `fill` wrote."""
    (folder.disk_of(machine) / BALLAST).unlink(missing_ok=True)


def remove_disks(folder: RigFolder) -> None:
    """Unmount every machine's disk and the mounts inside, the deepest first."""
    for point in mounts_below(folder):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def mounts_below(folder: RigFolder) -> list[str]:
    """Mount points on the machines' disks, the deepest first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((point for point in points if point.startswith(f"{folder.machines}/")), key=len, reverse=True)
