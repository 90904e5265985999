"""Workers that ask for work in vain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asking:
    """A worker without work, and how long it rests before it asks again: until then it counts as one that asks."""

    worker_id: str
    node_id: str
    capabilities: tuple[str, ...]
    only_scan: str | None
    rests_seconds: float = 0.0
