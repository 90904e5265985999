"""The one way in which a command ends with an error: `error: SENTENCE (code)` on standard error, and an exit code.

No typer here: a worker, which starts for each dispatch, ends this way too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from cloudx.domain.errors import BadConfiguration, CloudxError, InvalidInput, TooLarge
from cloudx.terminal import visible

FAILED = 1
WRONG_USAGE = 2
_USAGE_CODES = (InvalidInput.code, BadConfiguration.code, TooLarge.code)


@contextmanager
def ending_in_words() -> Iterator[None]:
    """Whatever goes wrong inside ends the process with a sentence and an exit code."""
    try:
        yield
    except CloudxError as error:
        exit_with(error.message, error.code, exit_code_of(error))
    except KeyboardInterrupt:
        exit_with("Interrupted.", "interrupted")
    except BrokenPipeError:
        _leave_closed_pipe()
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        exit_with(f"{what}{error.strerror or error}. Choose another place, or make room or rights for it.", "os_error")
    except Exception as error:
        exit_with(_defect(error), "internal_error")


def exit_with(message: str, code: str, exit_code: int = FAILED) -> NoReturn:
    """Say what went wrong and how to mend it, and end the process."""
    print_error(message, code)
    sys.exit(exit_code)


def print_error(message: str, code: str) -> None:
    """One line, in which nothing of foreign origin can steer a terminal."""
    print(f"error: {visible(message, limit=None)} ({code})", file=sys.stderr, flush=True)  # noqa: T201


def exit_code_of(error: CloudxError) -> int:
    """2 where the request itself was wrong, 1 where a right one failed."""
    return WRONG_USAGE if error.code in _USAGE_CODES else FAILED


def _leave_closed_pipe() -> NoReturn:
    """`cloudx scans | head -1` is no error worth a word; the descriptor is replaced so that the exit's flush works."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILED)


def _defect(error: Exception) -> str:
    import logging  # neither before there is a defect
    import traceback

    if logging.root.handlers:  # a process that logs: whoever mends it needs the whole story
        logging.getLogger("cloudx").error("defect", exc_info=error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name to show, no path to open
    return f"A defect of cloudx: {type(error).__name__}: {error} at {where}. Please report it."
