"""The servers as child processes: each writes a log file and dies with this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from cloudx.private_files import write_private

from .layout import DevFolder

# The kernel asks them to leave when this process dies, kill -9 included.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]


@dataclass(frozen=True)
class _Launch:
    command: list[str]
    environment: dict[str, str]
    output: Path  # of standard output
    log: Path


class Children:
    """The servers that this run has started."""

    def __init__(self, folder: DevFolder) -> None:
        self._folder = folder
        self._launches: dict[str, _Launch] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environment: dict[str, str], output: str | None = None) -> None:
        """Start a server and note it down, so that a later run can end it if this one is killed.

        Standard output goes to the log, or to the file `output` of the dev folder if it holds secrets.
        """
        log = self.log_of(name)
        log.unlink(missing_ok=True)
        self._launches[name] = _Launch(command, environment, self._folder.path / output if output else log, log)
        self._launch(name)

    def log_of(self, name: str) -> Path:
        """The log file of a server."""
        return self._folder.logs / f"{name}.log"

    def dead(self) -> list[str]:
        """The names of the servers that ended by themselves."""
        return [name for name, child in self._running.items() if child.poll() is not None]

    def restart(self, name: str, allowed: tuple[str, ...]) -> bool:
        """Start a dead server again; False if it is not among the allowed."""
        if name not in allowed:
            return False
        self._launch(name)
        return True

    def stop(self, name: str, seconds: float) -> None:
        """Ask a server to leave, wait, then kill it; does nothing if it was never started."""
        child = self._running.pop(name, None)
        if child is None:
            return
        # PostgreSQL's "fast" shutdown: on SIGTERM it would wait for its clients to leave.
        child.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._note_down()

    def _launch(self, name: str) -> None:
        launch = self._launches[name]
        with open(launch.log, "ab", opener=_private) as log, open(launch.output, "ab", opener=_private) as output:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we end them in order.
            self._running[name] = subprocess.Popen(
                [*_DIES_WITH_US, *launch.command], env=launch.environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=log, start_new_session=True, cwd=self._folder.path,
            )  # fmt: skip
        self._note_down()

    def _note_down(self) -> None:
        running = {name: (child.pid, _started(child.pid)) for name, child in self._running.items()}
        write_private(self._folder.children, json.dumps(running))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _started(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0
