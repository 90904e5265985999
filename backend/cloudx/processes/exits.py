"""The one way in which a command ends with an error: `error: SENTENCE (code)` on standard error, and an exit code.

No typer here: a worker, which starts for each dispatch, ends this way too.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from cloudx.domain.errors import BadConfiguration, CloudxError, InvalidInput, TooLarge
from cloudx.terminal import visible

FAILED = 1
WRONG_USAGE = 2
_USAGE_CODES = (InvalidInput.code, BadConfiguration.code, TooLarge.code)


def print_error(message: str, code: str) -> None:
    """Print an error on a line; text of foreign origin in it cannot steer a terminal."""
    print(f"error: {visible(message, limit=None)} ({code})", file=sys.stderr, flush=True)  # noqa: T201


def exit_with(message: str, code: str, exit_code: int = FAILED) -> NoReturn:
    """Print an error and end the process."""
    print_error(message, code)
    sys.exit(exit_code)


def exit_with_error(error: CloudxError) -> NoReturn:
    """End the process with the error's own sentence and code, and the exit code of `exit_code_of`."""
    exit_with(error.message, error.code, exit_code_of(error))


def exit_code_of(error: CloudxError) -> int:
    """2 if the request was wrong, 1 if a valid request failed."""
    return WRONG_USAGE if error.code in _USAGE_CODES else FAILED
