"""Webhooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, RootModel, StringConstraints

from cloudx.domain.webhooks.delivery import Outcome, Topic

from .common import Body, PlainText


def _ascii(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("takes printable ASCII characters")
    return text


Secret = Annotated[str, StringConstraints(min_length=16, max_length=256), AfterValidator(_ascii)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
_TOPICS = "Of `scan.finished`, `diff.found`, `node.lost`"


class WebhookBody(Body):
    """Where to send what."""

    url: Url = Field(description="https://HOST/… or http://HOST/…")
    events: Annotated[
        list[Annotated[Topic, Field(strict=False)]], Field(min_length=1, max_length=3, description=_TOPICS)
    ]
    secret: Secret | None = Field(None, description="Signs each delivery; without it one is made")


class WebhookDelivery(BaseModel):
    """The newest delivery that was tried."""

    id: str
    event: Topic
    at: str
    outcome: Outcome
    tries: int
    http_status: int | None
    answer: PlainText = Field(
        description="The start of the receiver's answer, or why there was none: text, never markup"
    )
    next_try_at: str | None


class WebhookItem(BaseModel):
    """A webhook; `waiting` is how many deliveries wait."""

    id: str
    url: str
    events: list[Topic]
    created_at: str
    created_by: str
    last_delivery: WebhookDelivery | None
    waiting: int


class NewWebhook(WebhookItem):
    """A new one, with its secret, which is shown this once."""

    secret: str


class WebhookList(RootModel[list[WebhookItem]]):
    """Every webhook, oldest first."""
