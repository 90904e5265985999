"""Processes on the rig's machines. Their launches are kept, so that a test or a person can start them again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from cloudx.private_files import write_private

from .layout import RigFolder
from .namespaces import prefix

_DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"]
_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Launch:
    """How a process is started, and the process id and start time that it has now."""

    machine: str
    name: str
    command: list[str]
    environment: dict[str, str]
    stop_signal: str = "SIGTERM"
    pid: int = 0
    started: float = 0.0

    @property
    def key(self) -> str:
        """`cxvps1.worker`."""
        return f"{self.machine}.{self.name}"


class Processes:
    """The processes of a rig, known by its folder: another program may kill or start them meanwhile."""

    def __init__(self, folder: RigFolder, dies_with_us: bool = False) -> None:
        self._folder = folder
        self._before = _DIES_WITH_US if dies_with_us else []
        self._ours: dict[str, subprocess.Popen[bytes]] = {}  # we must wait for them, or they stay as zombies

    def start(self, launch: Launch) -> None:
        """Start a process; its output is appended to its log."""
        self.reap()
        with open(os.open(self.log_of(launch.key), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            child = subprocess.Popen(
                [*self._before, *prefix(launch.machine), *launch.command],
                env=launch.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if before := self._ours.get(launch.key):
            before.wait(_STOP_SECONDS)  # it has ended, as the caller saw, and may still be a zombie
        self._ours[launch.key] = child
        now = replace(launch, pid=child.pid, started=psutil.Process(child.pid).create_time())
        write_private(self._file(launch.key), json.dumps(asdict(now)))

    def start_again(self, key: str, **environment: str) -> None:
        """Start a process as it was started last; `environment` is added for this start and later starts."""
        launch = self.get(key)
        if not self.is_running(key):
            self.start(replace(launch, environment=launch.environment | environment))

    def stop(self, key: str) -> None:
        """Ask a process to leave, wait, then kill it."""
        self.signal(key, signal.Signals[self.get(key).stop_signal])
        if not self._gone(key, _STOP_SECONDS):
            self.kill(key)

    def kill(self, key: str) -> None:
        """Kill -9 a process."""
        self.signal(key, signal.SIGKILL)
        self._gone(key, _STOP_SECONDS)

    def signal(self, key: str, number: signal.Signals) -> None:
        """Send a process a signal; does nothing if it does not run."""
        if self.is_running(key):
            os.kill(self.get(key).pid, number)

    def is_running(self, key: str) -> bool:
        """True if the process that we started runs, and is not a zombie."""
        self.reap()
        launch = self.get(key)
        try:
            process = psutil.Process(launch.pid)
            return process.create_time() == launch.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def get(self, key: str) -> Launch:
        """The last launch of a process. Raises FileNotFoundError if it was never started."""
        return Launch(**json.loads(self._file(key).read_text()))

    def all_keys(self) -> list[str]:
        """The keys of all processes that were ever started."""
        return sorted(file.stem for file in self._folder.launches.glob("*.json"))

    def on(self, machine: str) -> list[str]:
        """The keys of a machine's processes."""
        return [key for key in self.all_keys() if key.startswith(f"{machine}.")]

    def log_of(self, key: str) -> Path:
        """The log file of a process."""
        return self._folder.logs / f"{key}.log"

    def log_end(self, key: str) -> str:
        """The end of the log of a process."""
        return self.log_of(key).read_text(errors="replace")[-2000:]

    def reap(self) -> None:
        """Wait for our children that have ended."""
        for child in self._ours.values():
            child.poll()

    def _gone(self, key: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running(key):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _file(self, key: str) -> Path:
        return self._folder.launches / f"{key}.json"
