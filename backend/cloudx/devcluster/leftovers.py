"""What a killed run leaves behind: processes, mounts, containers. Nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from .layout import DevFolder

MARK = "_DEV_CLUSTER"  # in the environment of every server and its children; its value is the .dev folder
ALLOCATION_LABEL = "com.hashicorp.nomad.alloc_id"
NOMAD_LEAVE_SECONDS = 50.0  # Nomad waits for its tasks
KILL_SECONDS = 5.0


def clear_leftovers(folder: DevFolder) -> None:
    """End our processes, then our containers, then unmount what Nomad mounted for their secrets."""
    _end([process for process in our_processes(folder) if not _is_docker(process)])
    for container in our_containers(folder):
        _output([_program("docker"), "rm", "-f", container])
    _end(our_processes(folder))  # Docker's daemon, if we started it, and what was started meanwhile
    for mount in our_mounts(folder):
        subprocess.run([_program("umount"), "--lazy", mount], check=False, stderr=subprocess.DEVNULL)
    folder.children.unlink(missing_ok=True)
    if not our_mounts(folder):  # never a removal that goes through a mount
        for kept_for_one_run in (folder.nomad, folder.consul):
            shutil.rmtree(kept_for_one_run, ignore_errors=True)
            kept_for_one_run.mkdir(mode=0o700)


def our_processes(folder: DevFolder) -> list[psutil.Process]:
    """Find our processes by their mark, or by the process id and start time that a run noted down."""
    noted = _noted(folder)
    mark = f"{MARK}={folder.path}".encode()
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid()
        and ((process.pid in noted and _started(process) == noted[process.pid]) or _is_ours(process, mark, folder))
        and not _is_dead(process)
    ]


def our_mounts(folder: DevFolder) -> list[str]:
    """Mount points under Nomad's data folder, the deepest first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = f"{folder.nomad}/"
    return sorted((point for point in points if point.startswith(inside)), key=len, reverse=True)


def our_containers(folder: DevFolder) -> list[str]:
    """Containers that Nomad made with a mount from its data folder; none without Docker."""
    docker = shutil.which("docker")
    if docker is None:
        return []
    listed = _output([docker, "ps", "-aq", "--filter", f"label={ALLOCATION_LABEL}"]).split()
    inspect = [docker, "inspect", "-f", "{{json .Mounts}}"]
    return [container for container in listed if f"{folder.nomad}/" in _output([*inspect, container])]


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(processes, NOMAD_LEAVE_SECONDS)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, KILL_SECONDS)


def _is_docker(process: psutil.Process) -> bool:
    try:
        return process.name().startswith(("dockerd", "containerd"))
    except psutil.NoSuchProcess:
        return False


def _program(name: str) -> str:
    return shutil.which(name) or name


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _is_ours(process: psutil.Process, mark: bytes, folder: DevFolder) -> bool:
    try:
        if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
            return True
        # PostgreSQL writes its title over its environment.
        return process.name() == "postgres" and process.cwd() == str(folder.postgres)
    except (OSError, psutil.Error):
        return False


def _noted(folder: DevFolder) -> dict[int, float]:
    try:
        return dict(json.loads(folder.children.read_text()).values())
    except (OSError, ValueError, AttributeError):
        return {}


def _started(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def _is_dead(process: psutil.Process) -> bool:
    """True if the process is gone or a zombie."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.NoSuchProcess:
        return
