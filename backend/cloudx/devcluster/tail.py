"""Show the logs of servers and tasks on the terminal, each source in its own colour."""

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
    """Prints each new line of each log with the name of its source, from a thread of its own."""

    def __init__(self, folder: DevFolder) -> None:
        self._folder = folder
        self._read_up_to: dict[Path, int] = {}
        self._sources: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tail", daemon=True)
        self._has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def start(self) -> None:
        """Begin with the lines that the logs already hold."""
        self._thread.start()

    def stop(self) -> None:
        """Print the remaining lines and end."""
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

    def _print_new(self, source: str, file: Path) -> None:
        try:
            with open(file, "rb") as log:
                log.seek(self._read_up_to.get(file, 0))
                self._print_lines(source, file, log)
        except OSError:
            return  # it went away with its allocation

    def _print_lines(self, source: str, file: Path, log: IO[bytes]) -> None:
        for line in log:
            if not line.endswith(b"\n") and not self._stopping.is_set():
                return  # half a line: the next look has it whole
            self._read_up_to[file] = self._read_up_to.get(file, 0) + len(line)
            text = visible(line.decode(errors="replace").rstrip("\r\n"), LONGEST_LINE)
            name = f"{source:>13} │"
            print(f"{self._paint(source, name)} {text}", flush=True)  # noqa: T201 - standard output is the product

    def _paint(self, source: str, name: str) -> str:
        kind = source.split(" ")[0]
        if kind not in self._sources:
            self._sources.append(kind)
        colour = _PALETTE[self._sources.index(kind) % len(_PALETTE)]
        return typer.style(name, fg=colour) if self._has_colour else name
