"""A scanner as a child process: started in a private folder, ended with its whole process group."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from cloudx.services.chunks.scanner_port import Command, Urgency

GRACE_SECONDS = 2.0
# masscan writes its results when it ends, and ends seconds after its first SIGINT, or one after its second.
_READ_ON_SECONDS = 3.0
_NICE = -10
# The kernel kills the scanner when the worker dies, kill -9 included: nothing probes on unsupervised.
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "HOME": "/nonexistent",
}


class ScannerProcess:
    """One run of a scanner; `end` may be called from any thread, at any time, more than once."""

    def __init__(self, command: Command, folder: Path) -> None:
        """Write the command's files (mode 0600) and start it. Raises OSError; FileNotFoundError: no such tool."""
        for name, lines in command.files.items():
            with open(folder / name, "w", encoding="ascii", opener=_private) as file:
                file.writelines(f"{line}\n" for line in lines)
        if shutil.which(command.argv[0], path=_ENVIRONMENT["PATH"]) is None:
            raise FileNotFoundError(f"{command.argv[0]} is not installed; `apt-get install {command.argv[0]}`")
        self._child = subprocess.Popen(
            [*_DIES_WITH_US, *command.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        self._stdout, self._stderr = cast(IO[bytes], self._child.stdout), cast(IO[bytes], self._child.stderr)
        put_first(self._child.pid, command.urgency)
        self._ending = threading.Lock()

    @property
    def pid(self) -> int:
        """The scanner's process id."""
        return self._child.pid

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes]]:
        """Its stdout and stderr."""
        return self._stdout, self._stderr

    def wait(self) -> int:
        """The exit code; negative is the signal that ended it."""
        return self._child.wait()

    def end(self) -> None:
        """Stop sending within GRACE_SECONDS, whatever the scanner does."""
        with self._ending:
            if not self._ends_after(signal.SIGTERM, GRACE_SECONDS):
                self._signal(signal.SIGKILL)

    def end_and_keep_results(self) -> None:
        """Stop sending at once, let the scanner take in late replies and write down what it has, then end it.

        SIGTERM leaves masscan's file empty; SIGINT is each scanner's own way to be stopped.
        """
        with self._ending:
            if self._ends_after(signal.SIGINT, _READ_ON_SECONDS) or self._ends_after(signal.SIGINT, GRACE_SECONDS):
                return
            self._signal(signal.SIGKILL)

    def _ends_after(self, number: int, seconds: float) -> bool:
        self._signal(number)
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _signal(self, number: int) -> None:
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended in between
                os.killpg(self._child.pid, number)


def put_first(pid: int, urgency: Urgency) -> None:
    """Let all of its threads run before everything else, as far as this process may decide that.

    masscan's receive ring holds 17 ms of replies at 20,000 packets/s: on a busy machine it lost
    1 % at ordinary priority and none as a real-time process. Where there is one processor, a
    better nice value must do, so that a scanner at full speed leaves something to the worker.
    zmap waits for its next packet in a loop: as a real-time process it would take a whole processor. Its threads
    share one, and must not push each other off it in the middle of a check value: as a batch they wait their turn.
    """
    if urgency is Urgency.NONE:
        return
    with contextlib.suppress(OSError):  # no CAP_SYS_NICE, or it ended already
        for thread in _threads(pid):
            os.setpriority(os.PRIO_PROCESS, thread, _NICE)
            if urgency is Urgency.REPLIES and (os.cpu_count() or 1) > 1:
                os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))
            elif urgency is Urgency.PACE:
                os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(OSError):  # a kernel without them: the nice value is all there is
        # Outside a control group of its own, a nice value counts within the session alone (sched(7), autogroup).
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")


def _threads(pid: int) -> Iterator[int]:
    """The first one, then all others: on Linux each has a priority of its own, which those that it starts inherit."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():  # once the first one has it: a busy machine is late with this
        yield int(task.name)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
