"""How many packets per second this machine can send: measured once per boot, without any of them leaving it.

Run as a program, this module measures. Frames of a probe's size go into the loopback interface by a raw socket, one
call per frame, as masscan and zmap send them. No protocol handles their type (0x88B5, for experiments: IEEE 802), so
the kernel drops them on receipt. The figure ignores what else limits a real link: its speed, which judge_send_rate
caps, and its driver. Python's share of each call makes it low: masscan sent 0.8 to 1 times as much on a veth.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cloudx.interpreter import module_command
from cloudx.services.fleet.judge_send_rate import SendMeasure

BOOT_FOLDER = Path("/run/cloudx")  # emptied by each boot
_FILE, _LOCK = "send-rate.json", "send-rate.lock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LINKS = Path("/sys/class/net")
_SLICES, _SLICE_SECONDS = 10, 0.05  # the best slice counts: others may be busy meanwhile
_BURST = 100
_TYPE = 0x88B5
_MEASURE_SECONDS = 20


class SendRate:
    """What this machine can send, as far as it is known; one process of a machine measures, in the background."""

    def __init__(self, fallback_folder: Path, boot_folder: Path = BOOT_FOLDER) -> None:
        """`fallback_folder` keeps the figure where `boot_folder` may not be written."""
        self._folders = (boot_folder, fallback_folder)
        self._known: int | None = None
        self._problem = ""

    def measure_in_background(self) -> None:
        """Begin, unless it was measured since the boot; `on(…)` tells the figure from when it is there."""
        threading.Thread(target=self.measure, daemon=True).start()

    def measure(self) -> None:
        """The same, and wait for the figure."""
        folder = next((folder for folder in self._folders if _is_writable(folder)), None)
        if folder is None:
            self._problem = f"neither {self._folders[0]} nor {self._folders[1]} can be written"
            return
        try:
            with open(folder / _LOCK, "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # several workers that start at once would measure each other
                self._known = _read(folder / _FILE) or _measured(folder / _FILE)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._problem = str(error)

    def on(self, interface: str | None) -> SendMeasure:
        """What is known now, for packets that leave by this interface."""
        link_mbit = _speed_mbit(interface) if interface else None
        return SendMeasure(self._known, self._problem, interface or "", link_mbit)


def _is_writable(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def _read(file: Path) -> int | None:
    """The figure of an earlier process since the boot, if there is one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text())
        if kept["boot_id"] == _BOOT_ID.read_text():
            return int(kept["pps"])
    return None


def _measured(file: Path) -> int:
    """Measure in a child process, since here it would block every thread, and keep the figure."""
    done = subprocess.run(
        module_command("cloudx.adapters.machine.send_rate"),
        capture_output=True, text=True, timeout=_MEASURE_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise OSError((done.stderr.strip().splitlines() or ["no reason was given"])[-1][:200])
    pps = int(done.stdout)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(json.dumps({"boot_id": _BOOT_ID.read_text(), "pps": pps}))
    Path(new.name).replace(file)
    return pps


def _speed_mbit(interface: str) -> int | None:
    """The link's speed by its driver; None where it tells none (virtual links: -1, or an error)."""
    with contextlib.suppress(OSError, ValueError):
        speed = int((_LINKS / interface / "speed").read_text())
        return speed if speed > 0 else None
    return None


def _measure_here() -> int:
    frame = bytes(12) + _TYPE.to_bytes(2, "big") + bytes(46)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.bind(("lo", _TYPE))
        return max(_slice_pps(sender, frame) for _ in range(_SLICES))


def _slice_pps(sender: socket.socket, frame: bytes) -> int:
    sent, send, begun = 0, sender.send, time.perf_counter()
    while (passed := time.perf_counter() - begun) < _SLICE_SECONDS:
        for _ in range(_BURST):
            send(frame)
        sent += _BURST
    return int(sent / passed)


if __name__ == "__main__":
    try:
        print(_measure_here())  # noqa: T201 - its result
    except OSError as error:
        sys.exit(f"a raw socket on the loopback interface does not work: {error}")
