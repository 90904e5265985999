"""What can be broken in a running rig. Each works on the rig that runs, by a test's hand or by `scripts/rig`."""

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
    for direction, end, device in (("OUTPUT", "-d", "-o"), ("INPUT", "-s", "-i")):
        # The first comes last: each is put before the others.
        _on(machine, "-I", direction, end, CONTROL_NETWORK, "-j", "DROP")
        _on(machine, "-I", direction, end, ip_of(TARGET), "-j", "ACCEPT")
        _on(machine, "-I", direction, device, "lo", "-j", "ACCEPT")


def heal(machine: str) -> None:
    """The partition is over; no error where there was none."""
    _on(machine, "-F")


def _on(machine: str, *rule: str) -> None:
    network.inside(machine, "iptables", "-w", *rule)


def kill_scanners(machine: str) -> int:
    """kill -9 of every scanner on it; how many there were."""
    victims = [process for process in processes_of(machine) if _name(process) in SCANNERS]
    kill(victims)
    return len(victims)


def kill_workers(machine: str) -> int:
    """kill -9 of every `cloudx worker` on it, whoever started it; how many there were."""
    victims = [process for process in processes_of(machine) if _is_worker(process)]
    kill(victims)
    return len(victims)


def processes_of_task(machines: list[str], task: str) -> list[psutil.Process]:
    """All that Nomad's task of this name has started there, by the environment that Nomad gave it."""
    everything = [process for machine in machines for process in processes_of(machine)]
    return [process for process in everything if environment_of(process).get("NOMAD_TASK_NAME") == task]


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


def slow_down(processes: Processes, delay_ms: int, loss_percent: int) -> None:
    """Answers of the target network take that much longer, and of probes and answers that share is lost, each."""
    processes.start(delay_launch(delay_ms, loss_percent))
    deadline = time.monotonic() + _START_SECONDS
    while f"{delay.DEVICE}:" not in network.inside(TARGET, "cat", "/proc/net/dev"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the delay does not start: {processes.last_words(DELAY_KEY)}")
        time.sleep(0.02)
    network.ip("-n", TARGET, "link", "set", delay.DEVICE, "up", "txqueuelen", "50000")
    network.ip("-n", TARGET, "route", "replace", "default", "dev", delay.DEVICE, "table", str(delay.MARK))
    # First the rule for what has been held, then the one that takes every other answer into the tunnel.
    network.ip("-n", TARGET, "rule", "add", "pref", "10", "fwmark", str(delay.MARK), "lookup", "main")
    network.ip("-n", TARGET, "rule", "add", "pref", "20", "from", TARGET_NETWORK, "lookup", str(delay.MARK))
    lose = ["-m", "statistic", "--mode", "random", "--probability", str(loss_percent / 100), "-j", "DROP"]
    if loss_percent:
        _on(TARGET, "-A", "INPUT", "-i", "eth0", "-d", TARGET_NETWORK, *lose)


def speed_up(processes: Processes) -> None:
    """The way to the targets is as it was."""
    for preference in ("10", "20"):
        network.ip("-n", TARGET, "rule", "del", "pref", preference)
    _on(TARGET, "-F")
    processes.kill(DELAY_KEY)


def delay_launch(delay_ms: int, loss_percent: int) -> Launch:
    """The process that holds the answers."""
    command = [sys.executable, str(Path(delay.__file__)), str(delay_ms), str(loss_percent)]
    return Launch(TARGET, "delay", command, plain_environment())
