"""Values as a database takes them: masscan and zmap share one time and one extra between thousands of findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

_MAX_KEPT = 1000
Value = TypeVar("Value")
Text = TypeVar("Text")


class SharedTexts(Generic[Value, Text]):
    """Writes each object out once, however many findings share it."""

    def __init__(self, write: Callable[[Value], Text]) -> None:
        self._write = write
        # By id(): as long as the object is kept here, no other gets its id.
        self._known: dict[int, tuple[Value, Text]] = {}

    def of(self, value: Value) -> Text:
        """The text of this one."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if len(self._known) >= _MAX_KEPT:
            self._known.clear()  # nmap shares none: memory stays flat
        text = self._write(value)
        self._known[id(value)] = (value, text)
        return text
