"""The servers as child processes: each writes to a log file of its own, and dies with us."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import psutil

from .layout import DevFolder
from .secrets import write_private

# The kernel asks them to leave when this process dies, kill -9 included.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]


class Children:
    """What we started, in order; taken down in the reverse one."""

    def __init__(self, folder: DevFolder) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start one, noted down for a later start to find should we be killed."""
        with open(self.log_of(name), "wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we end them in order.
            self._running[name] = subprocess.Popen(
                [*_DIES_WITH_US, *command], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self._folder.path,
            )  # fmt: skip
        self._note_down()

    def log_of(self, name: str) -> Path:
        """Its log file."""
        return self._folder.logs / f"{name}.log"

    def first_dead(self) -> str | None:
        """The name of one that ended by itself."""
        return next((name for name, child in self._running.items() if child.poll() is not None), None)

    def stop(self, name: str, seconds: float) -> None:
        """Ask, wait, and kill what does not leave; nothing when it was never started."""
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

    def _note_down(self) -> None:
        known = [(child.pid, _started(child.pid)) for child in self._running.values()]
        write_private(self._folder.children, json.dumps(known))


def _started(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return time.time()
