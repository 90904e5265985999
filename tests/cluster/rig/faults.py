"""What can be broken in a running rig. Each works on the rig that runs, by a test's hand or by `scripts/rig`."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil

from . import network
from .disks import fill, free
from .layout import CONTROL_NETWORK, TARGET, RigFolder, ip_of
from .processes import Processes

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
SCANNERS = ("masscan", "nmap", "zmap")
_CUT = "RIG_CUT"  # a chain of iptables


def kill_vps(machine: str) -> None:
    """Its plug is pulled: the link goes down and every process ends at once by kill -9."""
    network.ip("-n", machine, "link", "set", "eth0", "down")
    network.kill_all_on([machine])


def revive_vps(processes: Processes, machine: str) -> None:
    """It boots: its link is up again, and what ran on it is started as it was."""
    network.connect(machine)
    for key in processes.on(machine):
        processes.start_again(key)


def cut_off(machine: str) -> None:
    """A partition: nothing goes to or comes from the control network; the target network is still reached."""
    table = ["iptables", "-w"]
    network.inside(machine, *table, "-N", _CUT)
    for direction, end in (("OUTPUT", "-d"), ("INPUT", "-s")):
        network.inside(machine, *table, "-A", _CUT, end, ip_of(TARGET), "-j", "RETURN")
        network.inside(machine, *table, "-A", _CUT, end, CONTROL_NETWORK, "-j", "DROP")
        network.inside(machine, *table, "-I", direction, "!", "-i" if direction == "INPUT" else "-o", "lo", "-j", _CUT)


def heal(machine: str) -> None:
    """The partition is over; no error where there was none."""
    for table in ("-F",), ("-X",):
        with contextlib.suppress(RuntimeError):
            network.inside(machine, "iptables", "-w", *table)


def kill_scanners(machine: str) -> int:
    """kill -9 of every scanner on it; how many there were."""
    victims = [process for process in processes_of(machine) if _name(process) in SCANNERS]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    return len(victims)


def kill_workers(machine: str) -> int:
    """kill -9 of every `cloudx worker` on it, whoever started it; how many there were."""
    victims = [process for process in processes_of(machine) if _is_worker(process)]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    return len(victims)


def fill_disk(machine: str) -> None:
    """Nothing more fits on its disk."""
    fill(RigFolder(), machine)


def free_disk(machine: str) -> None:
    """There is room again."""
    free(RigFolder(), machine)


def set_clock_ahead(processes: Processes, key: str, seconds: int) -> None:
    """Start a process again with a clock that is wrong by so much, as its children have it too.

    By libfaketime: time namespaces do not shift the time of day. Its monotonic clock stays right, as on a real
    machine whose time of day is wrong.
    """
    processes.stop(key)
    wrong = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    right = {"LD_PRELOAD": "", "FAKETIME": "+0s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    processes.start_again(key, **(wrong if seconds else right))


def processes_of(machine: str) -> list[psutil.Process]:
    """All that runs on it."""
    found = []
    for pid in network.processes_on(machine):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def freeze(machine: str, frozen: bool) -> None:
    """All of its processes stand still, as on a machine that swaps; or go on."""
    for process in processes_of(machine):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP if frozen else signal.SIGCONT)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _is_worker(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return any(word.endswith("cloudx") for word in words[:3]) and "worker" in words
