"""A machine of the rig: a network namespace, a host name and mounts, which outlive its processes.

The mounts matter to Nomad: an agent that is killed and started again must find its tasks' secrets where they were.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .network import ip, run

FOLDER = Path("/run/cloudx-rig-ns")
# /sys shows the interfaces of the namespace that mounted it. Nomad's client needs the control groups mounted below it.
_OWN_SYS = (
    "mkdir -p $0/cgroup && mount --rbind /sys/fs/cgroup $0/cgroup && mount -t sysfs sysfs /sys && "
    "mount --rbind $0/cgroup /sys/fs/cgroup && umount --lazy $0/cgroup"
)


def make(machine: str) -> None:
    """Make a machine's namespaces; `ip netns` knows the network namespace by the machine's name."""
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
    """True if the rig has such a machine."""
    return (FOLDER / f"{machine}.mnt").exists()


def prefix(machine: str) -> list[str]:
    """The prefix that runs a command on a machine."""
    kinds = [f"--mount={FOLDER}/{machine}.mnt", f"--uts={FOLDER}/{machine}.uts"]
    return ["nsenter", f"--net=/run/netns/{machine}", *kinds, "--"]


def remove_all() -> None:
    """Remove every namespace, whose processes have ended; does nothing if there is none."""
    if not FOLDER.exists():
        return
    for file in FOLDER.iterdir():
        subprocess.run(["umount", "--lazy", str(file)], check=False, capture_output=True)
    subprocess.run(["umount", "--lazy", str(FOLDER)], check=False, capture_output=True)
    shutil.rmtree(FOLDER)
