"""Give freed memory back to the machine: the machines that scan are often small."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator


def _glibc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library, such as musl
        return None


_trim = _glibc_trim()


def trim() -> None:
    """Give back the freed pages in the middle of the heap, which glibc keeps (malloc_trim(3)); takes milliseconds."""
    if _trim is not None:
        _trim(0)


def trimming(stream: Iterator[bytes]) -> Iterator[bytes]:
    """The same stream; its memory is given back when it ends or is abandoned."""
    try:
        yield from stream
    finally:
        trim()


def leave_rich_out() -> None:
    """Keep structlog from loading rich, which it does for coloured tracebacks if rich is installed: 4 MB a process."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
