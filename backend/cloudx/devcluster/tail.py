"""The logs of servers and tasks on the terminal, a colour a part."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path
from typing import IO

import typer

from cloudx.terminal import visible

from .layout import DevFolder

LOOK_SECONDS = 0.3
LONGEST_LINE = 2000
_COLOURS = (typer.colors.CYAN, typer.colors.GREEN, typer.colors.YELLOW, typer.colors.MAGENTA, typer.colors.BLUE)
_OWN_COLOURS = (typer.colors.BRIGHT_CYAN, typer.colors.BRIGHT_GREEN, typer.colors.BRIGHT_YELLOW)
_PALETTE = _COLOURS + _OWN_COLOURS + (typer.colors.BRIGHT_MAGENTA, typer.colors.BRIGHT_BLUE)
_TASK_LOG = re.compile(r"^(?P<task>.+)\.(stdout|stderr)\.\d+$")


class LogTail:
    """Prints each new line of each log with its part's name before it, from a thread of its own."""

    def __init__(self, folder: DevFolder) -> None:
        self._folder = folder
        self._read_up_to: dict[Path, int] = {}
        self._parts: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tail", daemon=True)
        self._colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def start(self) -> None:
        """Begin with what is in the logs already."""
        self._thread.start()

    def stop(self) -> None:
        """Print what is left and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5)

    def _follow(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        for file in self._folder.logs.glob("*.log"):
            self._print_new(file.stem, file)
        for file in self._folder.nomad.glob("alloc/*/alloc/logs/*.[0-9]*"):
            named = _TASK_LOG.match(file.name)
            if named:
                self._print_new(f"{named['task']} {file.parts[-4][:4]}", file)

    def _print_new(self, part: str, file: Path) -> None:
        try:
            with open(file, "rb") as log:
                log.seek(self._read_up_to.get(file, 0))
                self._print_lines(part, file, log)
        except OSError:
            return  # it went away with its allocation

    def _print_lines(self, part: str, file: Path, log: IO[bytes]) -> None:
        for line in log:
            if not line.endswith(b"\n") and not self._stopping.is_set():
                return  # half a line: the next look has it whole
            self._read_up_to[file] = self._read_up_to.get(file, 0) + len(line)
            text = visible(line.decode(errors="replace").rstrip("\r\n"), LONGEST_LINE)
            name = f"{part:>13} │"
            print(f"{self._paint(part, name)} {text}", flush=True)  # noqa: T201 - standard output is the product

    def _paint(self, part: str, name: str) -> str:
        kind = part.split(" ")[0]
        if kind not in self._parts:
            self._parts.append(kind)
        colour = _PALETTE[self._parts.index(kind) % len(_PALETTE)]
        return typer.style(name, fg=colour) if self._colourful else name
