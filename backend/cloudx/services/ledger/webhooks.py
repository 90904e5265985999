"""What is kept of webhooks and of what they are told, as a Protocol."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cloudx.domain.webhooks.delivery import Delivery, Outcome, Topic, Webhook


@dataclass(frozen=True)
class Tried:
    """What came of a try: the answer's HTTP status (None: there was no answer) and its words."""

    outcome: Outcome
    http_status: int | None = None
    answer: str = ""
    next_at: datetime | None = None


@dataclass(frozen=True)
class LastDelivery:
    """The newest delivery of a webhook that was tried, and how many wait."""

    id: str
    topic: Topic
    at: datetime
    outcome: Outcome
    tries: int
    http_status: int | None
    answer: str
    next_at: datetime | None


class Webhooks(Protocol):
    """Webhooks and their outbox. Triggers fill it, in the transaction of what is told (sql/queue_*.sql)."""

    def add(self, webhook: Webhook) -> None:
        """Keep one."""
        ...

    def all(self) -> list[Webhook]:
        """Every one, oldest first."""
        ...

    def delete(self, webhook_id: str) -> bool:
        """Remove one and what it was to be told; False when there was none."""
        ...

    def last_deliveries(self) -> dict[str, LastDelivery]:
        """By webhook, where anything was tried."""
        ...

    def waiting(self) -> dict[str, int]:
        """How many deliveries wait, by webhook."""
        ...

    def due(self) -> Sequence[str]:
        """The webhooks to which something is to be sent now."""
        ...

    def take(self, webhook_id: str, hold_seconds: float) -> tuple[Webhook, Delivery] | None:
        """The oldest that is due, held for so long: nobody else gets it meanwhile."""
        ...

    def hold(self, delivery_id: str, seconds: float) -> None:
        """Hold it for longer."""
        ...

    def keep_body(self, delivery_id: str, body: str, hold_seconds: float) -> None:
        """What is sent, at this try and all others."""
        ...

    def note(self, delivery: Delivery, tried: Tried) -> None:
        """What came of a try."""
        ...

    def like_before(self, scan_id: str) -> str | None:
        """The newest completed scan before this one of the same targets, as written, tool, type and ports."""
        ...

    def remove_settled_before(self, before: datetime, keep: Collection[str]) -> int:
        """Remove deliveries that are over, older ones, without those in `keep`; returns how many."""
        ...
