"""Make webhooks, list them with their last answer, and remove them; every change is audited."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cloudx.domain.access import Principal
from cloudx.domain.errors import Conflict, NotFound
from cloudx.domain.webhooks.delivery import Topic, Webhook
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.webhooks import LastDelivery

from .ports import Receivers

PREFIX = "cxwh_"  # lets secret scanners find leaked secrets
MAX_WEBHOOKS = 100


@dataclass(frozen=True)
class ListedWebhook:
    """A webhook with what came of its last delivery, and how many wait."""

    webhook: Webhook
    last: LastDelivery | None
    waiting: int


@dataclass(frozen=True)
class AddWebhook:
    """Makes webhooks."""

    open_ledger: OpenLedger
    receivers: Receivers

    def __call__(self, principal: Principal, url: str, topics: Sequence[Topic], secret: str | None) -> Webhook:
        """Keep one; without a secret it gets one. Raises InvalidInput for a URL that nothing would be sent to."""
        self.receivers.require_usable(url)
        with self.open_ledger() as ledger:
            if len(ledger.webhooks.all()) >= MAX_WEBHOOKS:
                raise Conflict(f"There are {MAX_WEBHOOKS} webhooks, which is the most. Remove one first.")
            chosen = tuple(topic for topic in Topic if topic in topics)
            secret = secret or PREFIX + secrets.token_urlsafe(32)
            webhook = Webhook(new_id(), url, chosen, secret, ledger.now(), principal.name)
            ledger.webhooks.add(webhook)
            ledger.audit.record(principal, "webhook.add", webhook.id, events=list(chosen))
            ledger.commit()
        return webhook


def list_webhooks(open_ledger: OpenLedger) -> list[ListedWebhook]:
    """All of them, oldest first."""
    with open_ledger(read_only=True) as ledger:
        last, waiting = ledger.webhooks.last_deliveries(), ledger.webhooks.waiting()
        return [ListedWebhook(each, last.get(each.id), waiting.get(each.id, 0)) for each in ledger.webhooks.all()]


def delete_webhook(open_ledger: OpenLedger, principal: Principal, webhook_id: str) -> None:
    """Remove one, with what it was to be told. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.webhooks.delete(webhook_id):
            raise NotFound(f"There is no webhook {webhook_id[:64]!r}. `cloudx webhooks list` shows them.")
        ledger.audit.record(principal, "webhook.delete", webhook_id)
        ledger.commit()
