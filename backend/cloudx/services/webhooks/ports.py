"""What a delivery needs from outside, as a Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What a receiver answered: an HTTP status and the start of the body, as text."""

    http_status: int
    text: str

    @property
    def is_taken(self) -> bool:
        """True if the receiver has taken the delivery."""
        return 200 <= self.http_status < 300


class Receivers(Protocol):
    """The receivers of webhooks."""

    def require_usable(self, url: str) -> None:
        """Raise InvalidInput, with the remedy, for a URL to which nothing would ever be sent."""
        ...

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it to an address that is allowed at this moment; follows no redirect. Raises NotDelivered."""
        ...


class NotDelivered(Exception):
    """There was no answer; the message says why, with the remedy."""
