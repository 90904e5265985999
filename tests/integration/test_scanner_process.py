"""A scanner as a child process: private files, no way to outlive its worker. Needs setpriv (util-linux)."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cloudx.services.chunks.scanner_port import Command, Urgency
from cloudx.worker.run_folder import RunFolder
from cloudx.worker.scanner_process import ScannerProcess, put_first
from rig.waiting import until

# A scanner that ignores SIGTERM and has a child of its own.
STUBBORN = "trap '' TERM; sleep 300 & echo $!; wait"


def drained(process: ScannerProcess) -> None:
    process.wait()
    for stream in process.streams:
        stream.close()


def test_its_files_are_private_and_hold_the_lines_given(tmp_path: Path) -> None:
    process = ScannerProcess(Command(["cat", "targets"], {"targets": ["10.0.0.1", "10.0.0.2"]}), tmp_path)
    assert process.streams[0].read() == b"10.0.0.1\n10.0.0.2\n"
    drained(process)
    assert stat.S_IMODE((tmp_path / "targets").stat().st_mode) == 0o600


def test_a_file_that_is_there_already_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "targets").symlink_to("/etc/passwd")
    with pytest.raises(FileExistsError):
        ScannerProcess(Command(["cat", "targets"], {"targets": ["x"]}), tmp_path)


def test_a_missing_tool_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`apt-get install nosuchscanner`"):
        ScannerProcess(Command(["nosuchscanner"], {}), tmp_path)


def test_it_sees_none_of_the_workers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    process = ScannerProcess(Command(["env"], {}), tmp_path)
    assert b"secret" not in process.streams[0].read()
    drained(process)


def test_end_kills_a_scanner_that_ignores_the_request_and_its_children(tmp_path: Path) -> None:
    process = ScannerProcess(Command(["sh", "-c", STUBBORN], {}), tmp_path)
    child = int(process.streams[0].readline())
    process.end()
    process.end()
    assert process.wait() == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5)
    drained(process)


def test_the_kernel_kills_it_when_its_worker_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from cloudx.services.chunks.scanner_port import Command\n"
        "from cloudx.worker.scanner_process import ScannerProcess\n"
        f"print(ScannerProcess(Command(['sleep', '300'], {{}}), Path({str(tmp_path)!r})).pid, flush=True)\n"
        "time.sleep(300)"
    )
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    scanner = psutil.Process(int(worker.stdout.readline()))
    until(lambda: scanner.name() == "sleep", 5)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    until(lambda: not scanner.is_running() or scanner.status() == psutil.STATUS_ZOMBIE, 5)


@pytest.mark.root
def test_threads_that_it_started_before_it_was_put_first_are_put_first_too() -> None:
    program = "import threading, time; threading.Thread(target=time.sleep, args=(300,)).start(); print(flush=True)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as scanner:
        assert scanner.stdout is not None and scanner.stdout.readline() == b"\n"
        threads = [int(task.name) for task in Path(f"/proc/{scanner.pid}/task").iterdir()]
        put_first(scanner.pid, Urgency.PACE)
        values = [(os.getpriority(os.PRIO_PROCESS, thread), os.sched_getscheduler(thread)) for thread in threads]
        scanner.kill()
    assert values == [(-10, os.SCHED_BATCH)] * 2


def test_what_a_killed_worker_left_is_cleared_and_what_a_live_one_uses_is_not(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from cloudx.worker.run_folder import RunFolder\n"
        f"folder = RunFolder(Path({str(tmp_path)!r})); (folder.path / 'output').write_text('x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    live = RunFolder(tmp_path)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    other = RunFolder(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {live.path.name, other.path.name}
    live.remove()
    other.remove()
