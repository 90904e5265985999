"""A webhook, what it is told, and when a delivery is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cloudx.domain.backoff import Backoff

TRIED_FOR = timedelta(hours=24)
PAUSES = Backoff(first_seconds=5.0, longest_seconds=3_600.0)  # some 33 tries a day


class Topic(StrEnum):
    """What a webhook is told of."""

    SCAN_FINISHED = "scan.finished"
    DIFF_FOUND = "diff.found"
    NODE_LOST = "node.lost"


class Outcome(StrEnum):
    """What came of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    NOTHING = "nothing"  # there was nothing to tell: no difference was found


@dataclass(frozen=True)
class Webhook:
    """Where to send what; `secret` signs it."""

    id: str
    url: str
    topics: tuple[Topic, ...]
    secret: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class Delivery:
    """One thing that one webhook is told; `state` is the scan's or the node's, `before` the node's one before.

    `body` is what is sent, the same at each try; None until it was made.
    """

    id: str
    webhook_id: str
    topic: Topic
    scan_id: str | None
    node_id: str | None
    state: str
    before: str | None
    created_at: datetime
    tries: int
    body: str | None


def next_try(delivery: Delivery, now: datetime) -> datetime | None:
    """When to try again after a failure at `now`, which `tries` does not count yet; None: it is given up."""
    at = now + timedelta(seconds=PAUSES.seconds_after(delivery.tries + 1))
    return at if at <= delivery.created_at + TRIED_FOR else None
