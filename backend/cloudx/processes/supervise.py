"""Keep the API and the worker running, and take both down together.

`cloudx up` becomes this module once everything is prepared. It stays as long as the install runs, so it imports
little.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from .exits import print_error
from .first_start import CLI_FILE

START_SECONDS = 30.0
WORKER_SECONDS = 10.0  # its preflight asks each scanner for its version
CHILDREN_LEAVE_SECONDS = 12.0  # a worker gives its chunks back within 8 s
RESTART_PAUSE_SECONDS = 0.5
# -P: else Python runs a json.py of the current folder, as root.
OWN_PYTHON = [sys.executable, "-P"]
COMMANDS = {
    "api": [*OWN_PYTHON, "-m", "cloudx.server.run"],
    "worker": [*OWN_PYTHON, "-m", "cloudx.cli.main", "worker"],
}
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}  # threads' own arenas keep what they once held
# The kernel asks the children to leave when this process dies, kill -9 included.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]


class Supervisor:
    """Runs the API and the worker side by side and restarts the one that dies."""

    def __init__(self, data_folder: Path, token_source: str, is_new_token: bool) -> None:
        connection = json.loads((data_folder / CLI_FILE).read_text())
        self._token_source = token_source
        self._is_new_token = is_new_token
        self._url: str = connection["url"]
        self._token: str | None = connection["token"]
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()

    def run(self) -> int:
        """Run until told to stop; return 0 after an orderly end, 1 if the API never answered."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            for name in COMMANDS:
                self._start(name)
            if not self._answers():
                return 0 if self._stopping.is_set() else 1
            self._wait_for_the_worker()
            self._announce()
            while not self._stopping.wait(RESTART_PAUSE_SECONDS):
                self._restart_the_dead()
            return 0
        finally:
            self._take_down()

    def _start(self, name: str) -> None:
        # A session of their own: Ctrl-C in the terminal reaches us alone, and we end them in order.
        self._children[name] = subprocess.Popen(
            [*_DIES_WITH_US, *COMMANDS[name]], env=_ENVIRONMENT | os.environ, start_new_session=True
        )

    def _restart_the_dead(self) -> None:
        for name, child in list(self._children.items()):
            code = child.poll()
            if code is not None and not self._stopping.is_set():
                say(f"{name} ended with {code}; starting it again")
                self._start(name)

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                with urllib.request.urlopen(f"{self._url}/api/health", timeout=1):  # noqa: S310 - our own http URL
                    return True
            except (urllib.error.URLError, OSError):
                if self._children["api"].poll() is not None:
                    break
                time.sleep(0.05)
        if not self._stopping.is_set():
            print_error("The API did not start; its log is above.", "start_failed")
        return False

    def _wait_for_the_worker(self) -> None:
        """Wait until the fleet takes scans, so that the announced command works; a slow worker fails nothing."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(f"{self._url}/api/sync-status", headers=headers)  # noqa: S310 - our own URL
        deadline = time.monotonic() + WORKER_SECONDS
        while time.monotonic() < deadline and not self._stopping.wait(0.1):
            try:
                with urllib.request.urlopen(request, timeout=1) as answer:  # noqa: S310 - as above
                    if json.load(answer)["status"] == "active":
                        return
            except OSError:
                continue

    def _announce(self) -> None:
        say(f"Cloud-X runs at {self._url}")
        say(token_line(self._token_source, self._token if self._is_new_token else None))
        say("In another shell: .venv/bin/cloudx scan 127.0.0.1 --tool nmap --ports 1-10000")
        say("Ctrl-C stops it; scans go on at the next start.")

    def _take_down(self) -> None:
        self._stopping.set()
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + CHILDREN_LEAVE_SECONDS
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()


def token_line(source: str, new_token: str | None) -> str:
    """The line about the admin token; only the start that made the token shows it."""
    return f"admin token: {new_token} (shown this once; kept {source})" if new_token else f"admin token: {source}"


def say(message: str) -> None:
    """Print a remark to the person, on standard error."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - typer would cost this process ten megabytes


if __name__ == "__main__":
    sys.exit(Supervisor(Path(sys.argv[1]), sys.argv[2], "--new-token" in sys.argv[3:]).run())
