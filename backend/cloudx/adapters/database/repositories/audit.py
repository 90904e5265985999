"""The audit trail."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import audit
from cloudx.domain.access import Principal
from cloudx.services.ledger.audit_detail import bounded_detail
from cloudx.services.ledger.audit_entry import AuditEntry
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import Audit


class SqlAudit(Audit):
    """Implements Audit. Ids sort by the millisecond they were made in, so the primary key is the order of the pages."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def record(self, principal: Principal, action: str, subject: str, **detail: Any) -> None:
        # Names of tokens are not unique.
        by_token = {"token_id": principal.token_id} if principal.token_id else {}
        self._connection.execute(
            insert(audit).values(
                id=new_id(),
                at=db_now(),
                principal=principal.name,
                role=principal.role.value,
                action=action,
                subject=subject,
                detail=json.dumps(bounded_detail(detail) | by_token),
            )
        )

    @override
    def entries(
        self,
        limit: int,
        *,
        before_id: str | None = None,
        principal: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
    ) -> list[AuditEntry]:
        conditions = [
            audit.c.id < before_id if before_id is not None else None,
            audit.c.principal == principal if principal is not None else None,
            audit.c.action == action if action is not None else None,
            audit.c.at >= since if since is not None else None,
        ]
        query = select(audit).where(*(condition for condition in conditions if condition is not None))
        rows = self._connection.execute(query.order_by(audit.c.id.desc()).limit(limit)).mappings()
        return [_entry(row) for row in rows]


def _entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(**{**row, "detail": bounded_detail(json.loads(row["detail"]))})
