"""Memory that was freed goes back to the machine: a scanner's host is often small."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator


def _glibc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another C library, musl for one
        return None


_trim = _glibc_trim()


def trim() -> None:
    """Hand freed pages back, which glibc keeps for ever in the middle of its heap (malloc_trim(3)); milliseconds."""
    if _trim is not None:
        _trim(0)


def trimming(stream: Iterator[bytes]) -> Iterator[bytes]:
    """The same stream; what it took is given back when it ends or is abandoned."""
    try:
        yield from stream
    finally:
        trim()
