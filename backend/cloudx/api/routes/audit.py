"""Who changed what."""

from __future__ import annotations

from typing import Any

from cloudx.services.access.audit import read_audit

from ..access import Access, access
from ..blueprint import resource
from ..context import deps
from ..json_codec import encode, json_response
from ..pages import id_of_cursor, link_next
from ..schemas.audit import AuditPage, AuditQuery

blueprint = resource("audit", "/api/audit")


@blueprint.get("", summary="Read the audit trail, newest first", responses={200: AuditPage})
@access(Access.ADMIN)
def list_entries(query: AuditQuery) -> Any:
    """The Link header and next_cursor lead to the next page."""
    entries, cursor = read_audit(
        deps().open_ledger,
        limit=query.limit,
        before_id=id_of_cursor(query.cursor),
        principal=query.principal,
        action=query.action,
        since=query.since,
    )
    response = json_response(encode({"items": entries, "next_cursor": cursor}))
    return link_next(response, "/api/audit", query, cursor)
