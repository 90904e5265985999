"""A rig: its machines, its target network, and the fleet that a kind of rig starts on them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from cloudx.private_files import write_private

from . import namespaces, network, target
from .api import Api
from .capture import Capture
from .control_groups import remove_control_groups
from .disks import add_disk, mounts_below, remove_disks
from .env_file import write_env_file
from .layout import MACHINE_LOCK, MAX_VPSES, STORE, TARGET, RigFolder, vps
from .processes import Launch, Processes

START_SECONDS = 60.0


class RigFailed(Exception):
    """The rig cannot start; the message says why."""


class Interrupted(Exception):
    """The rig was told to stop while it waited."""


class Rig:
    """The base of both kinds. `start` makes everything, `stop` removes everything."""

    kind = ""
    servers: tuple[str, ...] = ()

    def __init__(self, vpses: int, say: Callable[[str], None] = lambda _: None, dies_with_us: bool = False) -> None:
        if not 1 <= vpses <= MAX_VPSES:
            raise RigFailed(f"N={vpses}: a rig has 1 to {MAX_VPSES} VPSes.")
        if os.geteuid() != 0:
            raise RigFailed("A rig makes network namespaces, which needs root. Run it with sudo.")
        self.vpses = [vps(number) for number in range(1, vpses + 1)]
        self.folder = RigFolder()
        self.processes = Processes(self.folder, dies_with_us)
        self.say = say
        self.stopping = threading.Event()  # set it to end a start that is under way
        self._lock: IO[str] | None = None

    @property
    def api(self) -> Api:
        """The API at the address that people use."""
        raise NotImplementedError

    @property
    def shell(self) -> dict[str, str]:
        """The variables of `.rig/env`."""
        raise NotImplementedError

    @property
    def programs(self) -> str:
        """A folder with the servers' programs, for PATH; empty if there are none."""
        return ""

    @property
    def has_begun(self) -> bool:
        """True if there is something to take down."""
        return self._lock is not None

    def announce(self) -> None:
        """Tell what there is and how to use it."""
        self.say(f"  API            {self.api.url}/")
        first, last = self.vpses[0], self.vpses[-1]
        self.say(f"  VPSes          {first} … {last}; `ip netns exec {first} bash` is a shell there")
        self.say("In another shell: source .rig/env && cloudx nodes      scripts/rig --help breaks things.")
        self.say("Ctrl-C here takes all of it down.")

    def start(self, wait_for_the_machine: bool = False) -> None:
        """Make all of it, or nothing: a start that fails removes what it has made."""
        self._lock = claim_machine(wait_for_the_machine)
        try:
            clear_leftovers(self.folder)
            self._build()
            self.start_fleet()
            self.write_env()
        except BaseException:
            self.stop()
            raise

    def write_env(self) -> None:
        """Write `.rig/env`, for shells to source."""
        write_env_file(self.folder, self.shell, self.programs)

    def start_fleet(self) -> None:
        """Start this kind of fleet; return once every VPS is healthy. Raises RigFailed or Interrupted."""
        raise NotImplementedError

    def stop(self) -> None:
        """Remove all of it: every process, namespace, mount, rule and file."""
        clear_leftovers(self.folder)
        self.processes.reap()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def capture(self) -> Capture:
        """A counter of the probes that reach the target network while it is open."""
        return Capture(self.folder)

    def wait(self, what: str, ready: Callable[[], Any], seconds: float = START_SECONDS, key: str = "") -> None:
        """Wait until `ready`. Raises RigFailed with the end of the log of process `key`, or Interrupted."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.stopping.is_set():
                raise Interrupted
            if key and not self.processes.is_running(key):
                raise RigFailed(f"{key} ended while we waited for {what}: {self.processes.log_end(key)}")
            if time.monotonic() > deadline:
                log_end = self.processes.log_end(key) if key else ""
                raise RigFailed(
                    f"{what} is not there after {seconds:.0f} s. The logs are in {self.folder.logs}. {log_end}"
                )
            time.sleep(0.1)

    def launch(self, launch: Launch) -> None:
        """Start a process on a machine of the rig."""
        self.processes.start(launch)

    def _build(self) -> None:
        self.folder.make()
        machines = [TARGET, STORE, *self.servers, *self.vpses]
        for machine in machines:
            if machine in self.vpses:
                add_disk(self.folder, machine)
            else:
                self.folder.disk_of(machine).mkdir(mode=0o700)
            namespaces.make(machine)
        network.build(machines)
        write_private(self.folder.path / "rig.json", json.dumps({"kind": self.kind, "vpses": len(self.vpses)}))
        self.launch(target.listeners_launch())
        log = self.processes.log_of(target.KEY)
        self.wait("the target network", lambda: "ready" in log.read_text(), key=target.KEY)


def claim_machine(wait: bool) -> IO[str]:
    """Take the lock on the rig's names and addresses; it lasts until the caller closes the file. Raises RigFailed."""
    lock = open(MACHINE_LOCK, "w")  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        lock.close()
        raise RigFailed(f"another rig runs on this machine ({MACHINE_LOCK} is taken). Stop it with Ctrl-C.") from None
    return lock


def clear_leftovers(folder: RigFolder) -> None:
    """Remove what a rig has made, this rig or a killed one."""
    network.remove()
    remove_control_groups(folder)
    namespaces.remove_all()
    remove_disks(folder)
    shutil.rmtree(folder.path, ignore_errors=True)
    if not mounts_below(folder):  # never a removal that goes through a mount
        shutil.rmtree(folder.machines, ignore_errors=True)
