"""Lists of targets in files."""

from __future__ import annotations

import sys
from pathlib import Path

from cloudx.domain.errors import InvalidInput


def read_list(file: str) -> str:
    """The text of a list of targets; the API reads its lines and comments."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be read ({error.strerror}). Name a file with targets.") from None
