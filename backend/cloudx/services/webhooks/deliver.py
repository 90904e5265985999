"""Deliver what is in the outbox: at least once, in order where nothing fails, for a day."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cloudx.domain.errors import CloudxError
from cloudx.domain.webhooks.delivery import Delivery, Outcome, Topic, Webhook, next_try
from cloudx.domain.webhooks.signature import signature
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.ledger.webhooks import Tried

from .compose import CountDiff, compose
from .ports import NotDelivered, Receivers

LOOK_SECONDS = 1.0
HOLD_SECONDS = 60.0  # a try ends long before; after a process that died in one, another one sends it again
COMPARE_SECONDS = 900.0  # a diff of millions of findings may take so long
SIDE_BY_SIDE = 8  # webhooks of one process at a time: a receiver that hangs keeps nobody else waiting
ANSWER_CHARACTERS = 500  # that are kept

log = logging.getLogger(__name__)


@dataclass
class DeliverWebhooks:
    """Sends what is due, each webhook on a thread of its own; several processes share the outbox."""

    open_ledger: OpenLedger
    receivers: Receivers
    count_diff: CountDiff
    agent: str = "cloudx"
    clock: Callable[[], float] = time.time
    _busy: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> None:
        """One round: begin with each webhook that has something due. Raises DependencyUnavailable."""
        with self.open_ledger(read_only=True) as ledger:
            due = ledger.webhooks.due()
        for webhook_id in due:
            with self._lock:
                if webhook_id in self._busy or len(self._busy) >= SIDE_BY_SIDE:
                    continue
                self._busy.add(webhook_id)
            threading.Thread(target=self._run, args=(webhook_id,), name="webhook", daemon=True).start()

    def _run(self, webhook_id: str) -> None:
        try:
            while self.deliver_one(webhook_id):
                pass
        except CloudxError as error:
            log.warning("webhooks.wait: %s", error.message)
        except Exception:  # the next round tries again
            log.exception("webhooks.failed")
        finally:
            with self._lock:
                self._busy.discard(webhook_id)

    def deliver_one(self, webhook_id: str) -> bool:
        """Send the oldest that is due; False where there is none, or the receiver did not take it.

        A process that dies between the answer and the note sends it again: receivers know it by its id.
        """
        with self.open_ledger() as ledger:
            taken = ledger.webhooks.take(webhook_id, HOLD_SECONDS)
            ledger.commit()
        if taken is None:
            return False
        webhook, delivery = taken
        if delivery.body is None:
            delivery = self._with_body(delivery)
        tried = Tried(Outcome.NOTHING) if delivery.body is None else self._try(webhook, delivery, delivery.body)
        with self.open_ledger() as ledger:
            if tried.outcome is Outcome.WAITING:
                next_at = next_try(delivery, ledger.now())
                tried = replace(tried, next_at=next_at, outcome=Outcome.WAITING if next_at else Outcome.GIVEN_UP)
            ledger.webhooks.note(delivery, tried)
            ledger.commit()
        return tried.outcome in (Outcome.DELIVERED, Outcome.NOTHING)

    def _with_body(self, delivery: Delivery) -> Delivery:
        if delivery.topic is Topic.DIFF_FOUND:
            with self.open_ledger() as ledger:
                ledger.webhooks.hold(delivery.id, COMPARE_SECONDS)
                ledger.commit()
        body = compose(self.open_ledger, self.count_diff, delivery)
        if body is not None:
            with self.open_ledger() as ledger:
                ledger.webhooks.keep_body(delivery.id, body, HOLD_SECONDS)
                ledger.commit()
        return replace(delivery, body=body)

    def _try(self, webhook: Webhook, delivery: Delivery, text: str) -> Tried:
        body = text.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self.agent,
            "X-Cloudx-Event": delivery.topic.value,
            "X-Cloudx-Delivery": delivery.id,
            "X-Cloudx-Signature": signature(webhook.secret, body, int(self.clock())),
        }
        try:
            answer = self.receivers.post(webhook.url, headers, body)
        except NotDelivered as error:
            return Tried(Outcome.WAITING, None, str(error)[:ANSWER_CHARACTERS])
        outcome = Outcome.DELIVERED if answer.is_taken else Outcome.WAITING
        return Tried(outcome, answer.http_status, answer.text[:ANSWER_CHARACTERS])
