"""Keep child processes running, and take all of them down together."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

import typer

from cloudx.config import AuthMode, Settings

from .first_start import TOKEN_FILE, write_cli_file

START_SECONDS = 30.0
WORKER_SECONDS = 10.0  # its preflight asks each scanner for its version
LEAVE_SECONDS = 12.0  # a worker gives its chunks back within 8 s
RESTART_PAUSE_SECONDS = 0.5
# The kernel asks the children to leave when this process dies, kill -9 included.
_DIES_WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]


def claim_data_folder(folder: Path) -> IO[str]:
    """Lock the data folder for this process's life; stops the start when another has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")  # noqa: SIM115 - the lock lives as long as the caller keeps it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        _stop(f"another `cloudx up` uses {folder.absolute()}. Stop it, or set CLOUDX_DATA_DIR to another folder.")
    return lock


def require_free_port(bind: str, port: int) -> None:
    """Stop the start with the remedy when the port is taken."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError as error:
            _stop(f"{bind}:{port} cannot be used ({error.strerror}). Free it, or choose another: make run PORT=5002")


class Supervisor:
    """Runs the API and the worker beside each other and restarts whichever dies."""

    def __init__(self, settings: Settings, commands: dict[str, list[str]], environment: dict[str, str]) -> None:
        self._settings = settings
        self._commands = commands
        self._environment = {"MALLOC_ARENA_MAX": "2"} | environment  # threads' own arenas keep what they once held
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = threading.Event()
        host = "127.0.0.1" if settings.cloudx_bind in ("0.0.0.0", "::") else settings.cloudx_bind  # noqa: S104
        self._url = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"

    def run(self) -> int:
        """Until told to stop; 0 after an orderly end, 1 when the API never answered."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        token = self._token()
        write_cli_file(self._settings.cloudx_data_dir, self._url, token)
        try:
            for name in self._commands:
                self._start(name)
            if not self._answers():
                return 0 if self._stopping.is_set() else 1
            self._wait_for_the_worker(token)
            self._announce(token)
            while not self._stopping.wait(RESTART_PAUSE_SECONDS):
                self._restart_the_dead()
            return 0
        finally:
            self._take_down()

    def _token(self) -> str | None:
        if self._settings.cloudx_auth is AuthMode.OPEN:
            return None
        return self._settings.admin_token() or (self._settings.cloudx_data_dir / TOKEN_FILE).read_text().strip()

    def _start(self, name: str) -> None:
        # A session of their own: Ctrl-C in the terminal reaches us alone, and we end them in order.
        self._children[name] = subprocess.Popen(
            [*_DIES_WITH_US, *self._commands[name]], env=self._environment, start_new_session=True
        )

    def _restart_the_dead(self) -> None:
        for name, child in list(self._children.items()):
            code = child.poll()
            if code is not None and not self._stopping.is_set():
                typer.echo(f"{name} ended with {code}; starting it again", err=True)
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
            typer.echo("error: the API did not start; its own words are above.", err=True)
        return False

    def _wait_for_the_worker(self, token: str | None) -> None:
        """Until a scan can be taken, so that nobody who read our words is refused; a slow one is no reason to fail."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{self._url}/api/sync-status", headers=headers)  # noqa: S310 - our own URL
        deadline = time.monotonic() + WORKER_SECONDS
        while time.monotonic() < deadline and not self._stopping.wait(0.1):
            try:
                with urllib.request.urlopen(request, timeout=1) as answer:  # noqa: S310 - as above
                    if json.load(answer)["status"] == "active":
                        return
            except OSError:
                continue

    def _announce(self, token: str | None) -> None:
        typer.echo(f"Cloud-X runs at {self._url}", err=True)
        typer.echo(f"admin token: {token or 'none needed: CLOUDX_AUTH=open'}", err=True)
        typer.echo("In another shell: .venv/bin/cloudx scan 127.0.0.1 --tool nmap --ports 1-10000", err=True)
        typer.echo("Ctrl-C stops it; scans go on at the next start.", err=True)

    def _take_down(self) -> None:
        self._stopping.set()
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + LEAVE_SECONDS
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()


def _stop(message: str) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
