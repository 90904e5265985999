"""Read the audit trail."""

from __future__ import annotations

from datetime import datetime

from cloudx.services.ledger.audit_entry import AuditEntry
from cloudx.services.ledger.ledger import OpenLedger


def read_audit(
    open_ledger: OpenLedger,
    *,
    limit: int,
    before_id: str | None = None,
    principal: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
) -> tuple[list[AuditEntry], str | None]:
    """One page, newest first, and the `before_id` of the next, None at the end.

    An entry that is added meanwhile is newer than the page, so following pages neither repeat nor skip one.
    """
    with open_ledger(read_only=True) as ledger:
        entries = ledger.audit.entries(limit + 1, before_id=before_id, principal=principal, action=action, since=since)
    page = entries[:limit]
    return page, page[-1].id if len(entries) > limit else None
