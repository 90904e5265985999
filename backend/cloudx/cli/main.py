"""The entry of `cloudx`: a worker starts at once; for everything else the command line is loaded."""

from __future__ import annotations

import contextlib
import io
import sys


def run() -> None:
    """The entry point of `cloudx`."""
    is_worker, scan_id = plain_worker(sys.argv[1:])
    if is_worker:
        from cloudx.processes.worker import run_worker

        sys.exit(run_worker(scan_id))
    _run_the_command_line()


def plain_worker(arguments: list[str]) -> tuple[bool, str | None]:
    """Whether these arguments start a worker and nothing else, and for which scan; the command line takes the rest."""
    match arguments:
        case ["worker"]:
            return True, None
        case ["worker", "--scan", scan_id] if scan_id and not scan_id.startswith("-"):
            return True, scan_id
    return False, None


def _run_the_command_line() -> None:
    from .commands import app
    from .usage import run

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    sys.exit(run(app))


if __name__ == "__main__":
    run()
