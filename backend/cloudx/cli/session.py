"""A command's session with the API: every failure ends as a sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cloudx.config import load_settings
from cloudx.domain.errors import CloudxError
from cloudx.processes.exits import FAILED, exit_with, exit_with_error

if TYPE_CHECKING:
    from .api_client import ApiClient

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
ScanIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The scan's id, or the word: last.")]


@contextmanager
def api_session() -> Iterator[ApiClient]:
    """Open a session with the API that the environment or the data folder names."""
    with ending_in_words():
        from .api_client import ApiClient
        from .connection import find_connection

        yield ApiClient(find_connection(load_settings()))


@contextmanager
def ending_in_words() -> Iterator[None]:
    """End the command with a sentence and an exit code if anything fails inside."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except CloudxError as error:
        exit_with_error(error)
    except (KeyboardInterrupt, typer.Abort):
        exit_with("Interrupted.", "interrupted")
    except BrokenPipeError:
        _leave_closed_pipe()
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        exit_with(f"{what}{error.strerror or error}. Choose another place, or make room or rights for it.", "os_error")
    except Exception as error:
        exit_with(_defect(error), "internal_error")


def _leave_closed_pipe() -> NoReturn:
    """End quietly, as after `cloudx scans | head -1`; the descriptor is replaced so that the flush at exit works."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(FAILED)


def _defect(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name to show, no path to open
    return f"A defect of cloudx: {type(error).__name__}: {error} at {where}. Please report it."
