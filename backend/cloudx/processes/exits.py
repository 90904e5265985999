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
    """End the process with a sentence and an exit code if anything fails inside."""
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
    """Print an error and end the process."""
    print_error(message, code)
    sys.exit(exit_code)


def print_error(message: str, code: str) -> None:
    """Print an error on a line; text of foreign origin in it cannot steer a terminal."""
    print(f"error: {visible(message, limit=None)} ({code})", file=sys.stderr, flush=True)  # noqa: T201


def exit_code_of(error: CloudxError) -> int:
    """2 if the request was wrong, 1 if a valid request failed."""
    return WRONG_USAGE if error.code in _USAGE_CODES else FAILED


def _leave_closed_pipe() -> NoReturn:
    """End quietly, as after `cloudx scans | head -1`; the descriptor is replaced so that the flush at exit works."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(FAILED)


def _defect(error: Exception) -> str:
    import logging  # both only here: most processes have no defect
    import traceback

    if logging.root.handlers:  # a process that logs: the line below has no traceback
        logging.getLogger("cloudx").error("defect", exc_info=error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name to show, no path to open
    return f"A defect of cloudx: {type(error).__name__}: {error} at {where}. Please report it."
