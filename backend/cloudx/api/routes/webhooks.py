"""Webhooks: who is told what."""

from __future__ import annotations

from typing import Any

from cloudx.services.ledger.webhooks import LastDelivery
from cloudx.services.webhooks.edit import ListedWebhook, delete_webhook, list_webhooks

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..schemas.common import Message, error_responses
from ..schemas.policy import RecordPath
from ..schemas.webhooks import NewWebhook, WebhookBody, WebhookList

blueprint = resource("webhooks", "/api/webhooks")


@blueprint.get("", summary="List webhooks", responses={200: WebhookList})
@access(Access.ADMIN)
def list_all() -> Any:
    """With the last delivery of each, and what its receiver answered."""
    return [_show(each) for each in list_webhooks(deps().open_ledger)]


@blueprint.post("", summary="Make a webhook", responses={201: NewWebhook, **error_responses(409)})
@access(Access.ADMIN)
def create(body: WebhookBody) -> Any:
    """The secret, by which a receiver checks the signature, is shown this once."""
    webhook = deps().add_webhook(principal(), body.url, body.events, body.secret)
    return _show(ListedWebhook(webhook, None, 0)) | {"secret": webhook.secret}, 201


@blueprint.delete("/<record_id>", summary="Remove a webhook", responses={200: Message, **error_responses(404)})
@access(Access.ADMIN)
def remove(path: RecordPath) -> Any:
    """With what it was still to be told."""
    delete_webhook(deps().open_ledger, principal(), path.record_id)
    return {"message": f"Webhook {path.record_id} is removed."}


def _show(listed: ListedWebhook) -> dict[str, Any]:
    webhook = listed.webhook
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.topics),
        "created_at": webhook.created_at,
        "created_by": webhook.created_by,
        "last_delivery": _show_delivery(listed.last) if listed.last else None,
        "waiting": listed.waiting,
    }


def _show_delivery(last: LastDelivery) -> dict[str, Any]:
    shown = {name: getattr(last, name) for name in ("id", "at", "outcome", "tries", "http_status", "answer")}
    return shown | {"event": last.topic, "next_try_at": last.next_at}
