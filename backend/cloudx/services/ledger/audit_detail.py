"""What an audit entry keeps of a change: enough to know it by, never megabytes of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudx.domain.targets import HEAD_BYTES, head_of


def bounded_detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The detail with at most 2 KB of each value; what is cut has its length beside it, as `NAME_count`."""
    bounded: dict[str, Any] = {}
    for name, value in detail.items():
        kept = _bounded(value)
        bounded[name] = kept
        if kept != value:
            bounded[f"{name}_count"] = len(value)  # characters of a text, entries of a list
    return bounded


def _bounded(value: Any) -> Any:
    if isinstance(value, str):
        return head_of(value)
    return _head_of_list(value) if isinstance(value, list | tuple) else value


def _head_of_list(entries: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The first entries, as many as fit; a first one that is too long by itself is cut."""
    kept: list[Any] = []
    left = HEAD_BYTES
    for entry in entries:
        left -= len(str(entry).encode()) + 1
        if left < 0:
            return kept or [head_of(str(entry))]
        kept.append(entry)
    return kept
