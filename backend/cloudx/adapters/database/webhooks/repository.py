"""Webhooks and what they are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, or_, select, update
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import scan_targets, scans
from cloudx.adapters.database.schema.webhook_tables import deliveries, webhooks
from cloudx.domain.scans import ScanStatus
from cloudx.domain.webhooks.delivery import Delivery, Outcome, Topic, Webhook
from cloudx.services.ledger.webhooks import LastDelivery, Tried, Webhooks

_WAITING = deliveries.c.outcome == Outcome.WAITING.value
_OF_DELIVERY = deliveries.c[
    "id", "webhook_id", "topic", "scan_id", "node_id", "state", "before", "created_at", "tries", "body"
]
_OF_LAST = deliveries.c["webhook_id", "id", "topic", "tried_at", "outcome", "tries", "http_status", "answer", "next_at"]


class SqlWebhooks(Webhooks):
    """Implements Webhooks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def add(self, webhook: Webhook) -> None:
        values: dict[str, Any] = {**vars(webhook), "topics": ",".join(webhook.topics)}
        self._connection.execute(insert(webhooks).values(**values))

    @override
    def all(self) -> list[Webhook]:
        return [_webhook(row) for row in self._connection.execute(select(webhooks).order_by(webhooks.c.id)).mappings()]

    @override
    def delete(self, webhook_id: str) -> bool:
        removed = self._connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount
        self._connection.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
        return bool(removed)

    @override
    def last_deliveries(self) -> dict[str, LastDelivery]:
        newest = func.row_number().over(
            partition_by=deliveries.c.webhook_id, order_by=(deliveries.c.tried_at.desc(), deliveries.c.id)
        )
        tried = select(*_OF_LAST, newest.label("place")).where(deliveries.c.tried_at.is_not(None)).subquery()
        rows = self._connection.execute(
            select(*(tried.c[column.name] for column in _OF_LAST)).where(tried.c.place == 1)
        )
        return {
            webhook_id: LastDelivery(
                delivery_id, Topic(topic), at, Outcome(outcome), tries, status, answer or "", next_at
            )
            for webhook_id, delivery_id, topic, at, outcome, tries, status, answer, next_at in rows
        }

    @override
    def waiting(self) -> dict[str, int]:
        query = select(deliveries.c.webhook_id, func.count()).where(_WAITING).group_by(deliveries.c.webhook_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    @override
    def due(self) -> Sequence[str]:
        return list(self._connection.execute(select(deliveries.c.webhook_id).where(_is_due()).distinct()).scalars())

    @override
    def take(self, webhook_id: str, hold_seconds: float) -> tuple[Webhook, Delivery] | None:
        of_webhook = and_(deliveries.c.webhook_id == webhook_id, _is_due())
        oldest = select(*_OF_DELIVERY).where(of_webhook).order_by(deliveries.c.created_at, deliveries.c.id).limit(1)
        row = self._connection.execute(oldest.with_for_update(skip_locked=True)).mappings().first()
        known = self._connection.execute(select(webhooks).where(webhooks.c.id == webhook_id)).mappings().first()
        if row is None or known is None:
            return None
        self.hold(row["id"], hold_seconds)
        return _webhook(known), Delivery(**{**row, "topic": Topic(row["topic"])})

    @override
    def hold(self, delivery_id: str, seconds: float) -> None:
        self._hold(delivery_id, seconds)

    def _hold(self, delivery_id: str, seconds: float, **values: object) -> None:
        values["held_until"] = db_now(seconds)
        self._connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(**values))

    @override
    def keep_body(self, delivery_id: str, body: str, hold_seconds: float) -> None:
        self._hold(delivery_id, hold_seconds, body=body)

    @override
    def note(self, delivery: Delivery, tried: Tried) -> None:
        values: dict[str, Any] = {
            "outcome": tried.outcome.value,
            "http_status": tried.http_status,
            "answer": tried.answer,
            "next_at": tried.next_at,
            "held_until": None,
        }
        if tried.outcome is not Outcome.NOTHING:
            values |= {"tries": delivery.tries + 1, "tried_at": db_now()}
        mine = and_(deliveries.c.id == delivery.id, _WAITING)  # what was delivered stays so, whoever was late
        self._connection.execute(update(deliveries).where(mine).values(**values))

    @override
    def like_before(self, scan_id: str) -> str | None:
        alike = ("tool", "type_name", "target_head")
        after, after_targets = scans.alias("after"), scan_targets.alias("after_targets")
        query = (
            select(scans.c.id)
            .join(after, scans.c.id < after.c.id)
            .where(
                scan_targets.c.scan_id == scans.c.id,
                after_targets.c.scan_id == after.c.id,
                after.c.id == scan_id,
                scans.c.status == ScanStatus.COMPLETED.value,
                *(scans.c[name] == after.c[name] for name in alike),
                scan_targets.c.target_text == after_targets.c.target_text,
                func.coalesce(scan_targets.c.ports, "") == func.coalesce(after_targets.c.ports, ""),
            )
            .order_by(scans.c.id.desc())
            .limit(1)
        )
        return self._connection.execute(query).scalar()

    @override
    def remove_settled_before(self, before: datetime, keep: Collection[str]) -> int:
        old = and_(~_WAITING, deliveries.c.created_at < before, deliveries.c.id.not_in(keep))
        return int(self._connection.execute(delete(deliveries).where(old)).rowcount)


def _is_due() -> Any:
    is_free = or_(deliveries.c.held_until.is_(None), deliveries.c.held_until < db_now())
    return and_(_WAITING, deliveries.c.next_at <= db_now(), is_free)


def _webhook(row: RowMapping) -> Webhook:
    return Webhook(**{**row, "topics": tuple(map(Topic, row["topics"].split(",")))})
