"""The network namespaces, their links and their routes. Needs root."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable

from .layout import BRIDGE, BRIDGE_IP, NAME, TARGET, TARGET_NETWORK, ip_of, mac_of

_OFF = ("tso", "off", "gso", "off", "gro", "off")
_THROUGH_THE_BRIDGE = ("FORWARD", "-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT")
_KILL_SECONDS = 10.0


def build(machines: Iterable[str]) -> None:
    """Make the bridge and each namespace's eth0; the target answers on every address of its network."""
    ip("link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
    ip("addr", "add", f"{BRIDGE_IP}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    run("iptables", "-w", "-I", *_THROUGH_THE_BRIDGE)  # Docker's daemon drops packets that no rule accepts
    for machine in machines:
        _add(machine)
    ip("-n", TARGET, "route", "add", "local", TARGET_NETWORK, "dev", "lo")
    # Closed UDP ports answer at once instead of once a second.
    inside(TARGET, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv4.tcp_max_syn_backlog=65536")


def _add(machine: str) -> None:
    outer = f"{machine}b"
    ip("link", "add", "eth0", "address", mac_of(machine), "netns", machine, "type", "veth", "peer", "name", outer)
    ip("link", "set", outer, "master", BRIDGE, "up")
    ip("-n", machine, "link", "set", "lo", "up")
    ip("-n", machine, "addr", "add", f"{ip_of(machine)}/24", "dev", "eth0")
    connect(machine)
    # On both ends, or masscan's receive ring holds 31 packets (docs/operations.md).
    inside(machine, "ethtool", "-K", "eth0", *_OFF)
    run("ethtool", "-K", outer, *_OFF)


def connect(machine: str) -> None:
    """Set a machine's link up, with its default route to the target network."""
    ip("-n", machine, "link", "set", "eth0", "up")
    if machine != TARGET:
        ip("-n", machine, "route", "replace", "default", "via", ip_of(TARGET))


def remove() -> None:
    """Remove every machine with its processes, the bridge and its rule; does nothing if there is none."""
    found = machines()
    kill_all_on(found)
    for machine in found:
        ip("netns", "del", machine)
        _quietly("ip", "link", "del", f"{machine}b")  # the kernel may remove it only after the next rig has started
    _quietly("ip", "link", "del", BRIDGE)
    while _quietly("iptables", "-w", "-D", *_THROUGH_THE_BRIDGE):
        continue


def machines() -> list[str]:
    """The names of the rig's namespaces that exist now."""
    names = [line.split()[0] for line in ip("netns", "list").splitlines() if line]
    return [name for name in names if NAME.fullmatch(name)]


def processes_on(machine: str) -> list[int]:
    """The process ids on a machine."""
    return [int(pid) for pid in ip("netns", "pids", machine).split()]


def kill_all_on(names: list[str]) -> None:
    """Kill -9 every process on these machines, again until none is left."""
    deadline = time.monotonic() + _KILL_SECONDS
    while pids := [pid for name in names for pid in processes_on(name)]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} of {', '.join(names)} do not end after kill -9")
        time.sleep(0.05)


def inside(machine: str, *command: str) -> str:
    """Run a command on a machine and return its output."""
    return run("ip", "netns", "exec", machine, *command)


def ip(*arguments: str) -> str:
    """iproute2's ip."""
    return run("ip", *arguments)


def run(*command: str) -> str:
    """Run a command and return its output. Raises RuntimeError with its message if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _quietly(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
