"""One machine: a network namespace, a host name and mounts of its own, which outlive each of its processes.

The mounts matter to Nomad: an agent that is killed and started again must find its tasks' secrets where they were.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .network import ip, run

FOLDER = Path("/run/cloudx-rig-ns")
# /sys shows the interfaces of whoever mounted it. Control groups are mounted below it, and Nomad's client needs them.
_OWN_SYS = (
    "mkdir -p $0/cgroup && mount --rbind /sys/fs/cgroup $0/cgroup && mount -t sysfs sysfs /sys && "
    "mount --rbind $0/cgroup /sys/fs/cgroup && umount --lazy $0/cgroup"
)


def make(machine: str) -> None:
    """Its namespaces; the network's is known to `ip netns` by the machine's name."""
    if not FOLDER.exists():
        FOLDER.mkdir(mode=0o700)
        run("mount", "--bind", str(FOLDER), str(FOLDER))
        run("mount", "--make-private", str(FOLDER))  # or no mount namespace could be kept in it
    for kind in ("mnt", "uts"):
        (FOLDER / f"{machine}.{kind}").touch()
    ip("netns", "add", machine)
    run("unshare", f"--mount={FOLDER}/{machine}.mnt", f"--uts={FOLDER}/{machine}.uts", "hostname", machine)
    run(*prefix(machine), "sh", "-c", _OWN_SYS, str(FOLDER))


def exists(machine: str) -> bool:
    """Whether the rig has such a machine."""
    return (FOLDER / f"{machine}.mnt").exists()


def prefix(machine: str) -> list[str]:
    """What to put before a command to run it on that machine."""
    kinds = [f"--mount={FOLDER}/{machine}.mnt", f"--uts={FOLDER}/{machine}.uts"]
    return ["nsenter", f"--net=/run/netns/{machine}", *kinds, "--"]


def remove_all() -> None:
    """Forget them all; no error where there is none. What ran there has ended before."""
    if not FOLDER.exists():
        return
    for file in FOLDER.iterdir():
        subprocess.run(["umount", "--lazy", str(file)], check=False, capture_output=True)
    subprocess.run(["umount", "--lazy", str(FOLDER)], check=False, capture_output=True)
    shutil.rmtree(FOLDER)
