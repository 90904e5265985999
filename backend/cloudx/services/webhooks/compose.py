"""Compose what a webhook is sent; of a difference, find out first whether there is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cloudx.domain.errors import NotFound
from cloudx.domain.webhooks.delivery import Delivery, Topic
from cloudx.services.ledger.ledger import OpenLedger
from cloudx.services.scans.comparison import DiffSummary

CountDiff = Callable[[str, str], DiffSummary]


def compose(open_ledger: OpenLedger, count_diff: CountDiff, delivery: Delivery) -> str | None:
    """The body as JSON; None where there is nothing to tell. It takes as long as the diff of two scans may."""
    if delivery.topic is Topic.NODE_LOST:
        data: dict[str, Any] | None = {"node_id": delivery.node_id, "was": delivery.before}
    elif delivery.topic is Topic.SCAN_FINISHED:
        data = _scan(open_ledger, delivery)
    else:
        data = _difference(open_ledger, count_diff, delivery)
    if data is None:
        return None
    told = {"id": delivery.id, "event": delivery.topic, "at": delivery.created_at.isoformat(), "data": data}
    return json.dumps(told, ensure_ascii=True)


def _scan(open_ledger: OpenLedger, delivery: Delivery) -> dict[str, Any]:
    """What is left of one that was deleted since is its id and how it ended."""
    scan_id = str(delivery.scan_id)
    with open_ledger(read_only=True) as ledger:
        scan = ledger.scans.summary(scan_id)
    told = {"scan_id": scan_id, "status": delivery.state}
    if scan is None:
        return told
    return told | {"name": scan.name, "tool": scan.tool, "scan_type": scan.type_name, "error": scan.error}


def _difference(open_ledger: OpenLedger, count_diff: CountDiff, delivery: Delivery) -> dict[str, Any] | None:
    """Against the newest completed scan before of the same targets, tool, type and ports (docs/adr/0040)."""
    scan_id = str(delivery.scan_id)
    with open_ledger(read_only=True) as ledger:
        before_id = ledger.webhooks.like_before(scan_id)
    if before_id is None:
        return None
    try:
        summary = count_diff(before_id, scan_id)
    except NotFound:  # one of them was deleted since
        return None
    if not (summary.opened or summary.closed or summary.changed):
        return None
    return {"from": before_id, "to": scan_id, "summary": asdict(summary)}
