"""What a `cloudx up` needs for itself alone: its data folder and its port."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from .exits import exit_with


def claim_data_folder(folder: Path) -> None:
    """Lock the data folder for this process's life, across exec; end the process if another holds the lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        exit_with(
            f"Another `cloudx up` uses {folder.absolute()}. Stop it, or set CLOUDX_DATA_DIR to another folder.",
            "conflict",
        )


def require_free_port(bind: str, port: int) -> None:
    """End the process with the remedy if the port is taken."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError as error:
            remedy = "Free it, or choose another: make run PORT=5002"
            exit_with(f"{bind}:{port} cannot be used ({error.strerror}). {remedy}", "port_in_use")
