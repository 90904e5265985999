"""How a process ends when something goes wrong inside it."""

from __future__ import annotations

import logging
import re

import pytest

from cloudx.domain.errors import CloudxError, Conflict, InvalidInput
from cloudx.processes.exits import ending_in_words


@pytest.mark.parametrize(
    ("error", "line", "exit_code"),
    [
        (InvalidInput("port", "No port. Name one."), "error: No port. Name one. (invalid_input)", 2),
        (Conflict("Taken. Choose another."), "error: Taken. Choose another. (conflict)", 1),
        (KeyboardInterrupt(), "error: Interrupted. (interrupted)", 1),
        (PermissionError(13, "Permission denied", "/x"), "error: /x: Permission denied. Choose another place, ", 1),
        (CloudxError("a\x1b[2J\nb"), "error: a\\x1b[2J\\nb (internal_error)", 1),
    ],
)
def test_an_error_ends_the_process_with_one_line(error, line: str, exit_code: int, capsys) -> None:
    with pytest.raises(SystemExit) as ended, ending_in_words():
        raise error
    assert ended.value.code == exit_code
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(line)
    assert written.err.count("\n") == 1


def test_a_process_that_logs_leaves_the_traceback_of_a_defect_in_its_log(caplog, capsys) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit), ending_in_words():
        raise ZeroDivisionError("by nought")
    assert caplog.records[0].exc_info is not None
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"error: A defect of cloudx: ZeroDivisionError: by nought at .+ \(internal_error\)", last)


def test_an_exit_code_of_ones_own_is_kept() -> None:
    with pytest.raises(SystemExit) as ended, ending_in_words():
        raise SystemExit(7)
    assert ended.value.code == 7
