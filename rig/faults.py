"""The faults of a running rig, for tests and for `scripts/rig`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil

from . import delay, network
from .disks import fill, free
from .environment import plain_environment
from .kill import environment_of, kill
from .layout import CONTROL_NETWORK, TARGET, TARGET_NETWORK, RigFolder, ip_of
from .processes import Launch, Processes

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
SCANNERS = ("masscan", "nmap", "zmap")
DELAY_KEY = f"{TARGET}.delay"
_START_SECONDS = 10.0


def kill_vps(machine: str) -> None:
    """Pull the plug of a VPS: its link goes down, and kill -9 ends every process."""
    network.ip("-n", machine, "link", "set", "eth0", "down")
    network.kill_all_on([machine])


def revive_vps(processes: Processes, machine: str) -> None:
    """Boot a killed VPS: its link is up again, and its processes start as before."""
    network.connect(machine)
    for key in processes.on(machine):
        processes.start_again(key)


def cut_off(machine: str) -> None:
    """Partition a VPS: no packet passes between it and the control network; it still reaches the target network."""
    for direction, end, device in (("OUTPUT", "-d", "-o"), ("INPUT", "-s", "-i")):
        # In reverse: each -I puts its rule before the others.
        _on(machine, "-I", direction, end, CONTROL_NETWORK, "-j", "DROP")
        _on(machine, "-I", direction, end, ip_of(TARGET), "-j", "ACCEPT")
        _on(machine, "-I", direction, device, "lo", "-j", "ACCEPT")


def heal(machine: str) -> None:
    """End a partition; does nothing if there is none."""
    _on(machine, "-F")


def _on(machine: str, *rule: str) -> None:
    network.inside(machine, "iptables", "-w", *rule)


def kill_scanners(machine: str) -> int:
    """Kill -9 every scanner on a machine; return how many there were."""
    victims = [process for process in processes_of(machine) if _name(process) in SCANNERS]
    kill(victims)
    return len(victims)


def kill_workers(machine: str) -> int:
    """Kill -9 every `cloudx worker` on a machine, by whatever started; return how many there were."""
    victims = [process for process in processes_of(machine) if _is_worker(process)]
    kill(victims)
    return len(victims)


def processes_of_task(machines: list[str], task: str) -> list[psutil.Process]:
    """The processes of Nomad's task of this name, known by the environment that Nomad gave them."""
    everything = [process for machine in machines for process in processes_of(machine)]
    return [process for process in everything if environment_of(process).get("NOMAD_TASK_NAME") == task]


def fill_disk(machine: str) -> None:
    """Fill a machine's disk."""
    fill(RigFolder(), machine)


def free_disk(machine: str) -> None:
    """Make room on a machine's disk again."""
    free(RigFolder(), machine)


def set_clock_ahead(processes: Processes, key: str, seconds: int) -> None:
    """Start a process again so that its clock, and that of its children, is wrong by `seconds`.

    By libfaketime, since time namespaces do not shift the time of day. The monotonic clock stays right, as on a real
    machine whose time of day is wrong.
    """
    processes.stop(key)
    wrong = {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    right = {"LD_PRELOAD": "", "FAKETIME": "+0s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    processes.start_again(key, **(wrong if seconds else right))


def processes_of(machine: str) -> list[psutil.Process]:
    """The processes on a machine."""
    found = []
    for pid in network.processes_on(machine):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def freeze(machine: str, frozen: bool) -> None:
    """Suspend every process on a machine, as if it swapped, or resume them."""
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
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return any(word.endswith("cloudx") for word in command[:3]) and "worker" in command


def slow_down(processes: Processes, delay_ms: int, loss_percent: int) -> None:
    """Delay the answers of the target network, and lose this share of the probes and of the answers."""
    processes.start(delay_launch(delay_ms, loss_percent))
    deadline = time.monotonic() + _START_SECONDS
    while f"{delay.DEVICE}:" not in network.inside(TARGET, "cat", "/proc/net/dev"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the delay does not start: {processes.log_end(DELAY_KEY)}")
        time.sleep(0.02)
    network.ip("-n", TARGET, "link", "set", delay.DEVICE, "up", "txqueuelen", "50000")
    network.ip("-n", TARGET, "route", "replace", "default", "dev", delay.DEVICE, "table", str(delay.MARK))
    # First the rule for held packets, then the rule that sends every other answer into the tunnel.
    network.ip("-n", TARGET, "rule", "add", "pref", "10", "fwmark", str(delay.MARK), "lookup", "main")
    network.ip("-n", TARGET, "rule", "add", "pref", "20", "from", TARGET_NETWORK, "lookup", str(delay.MARK))
    lose = ["-m", "statistic", "--mode", "random", "--probability", str(loss_percent / 100), "-j", "DROP"]
    if loss_percent:
        _on(TARGET, "-A", "INPUT", "-i", "eth0", "-d", TARGET_NETWORK, *lose)


def speed_up(processes: Processes) -> None:
    """End `slow_down`."""
    for preference in ("10", "20"):
        network.ip("-n", TARGET, "rule", "del", "pref", preference)
    _on(TARGET, "-F")
    processes.kill(DELAY_KEY)


def delay_launch(delay_ms: int, loss_percent: int) -> Launch:
    """The process that delays the answers."""
    command = [sys.executable, "-P", str(Path(delay.__file__)), str(delay_ms), str(loss_percent)]
    return Launch(TARGET, "delay", command, plain_environment())
