"""The audit trail."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, select

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import audit
from cloudx.domain.access import Principal
from cloudx.services.ledger.ids import new_id


class SqlAudit:
    """Implements services.ports.Audit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, principal: Principal, action: str, subject: str, **detail: Any) -> None:
        """Add an entry; it is kept for ever."""
        self._connection.execute(
            insert(audit).values(
                id=new_id(),
                at=db_now(),
                principal=principal.name,
                role=principal.role.value,
                action=action,
                subject=subject,
                detail=json.dumps(detail),
            )
        )

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """The newest entries."""
        rows = self._connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit)).mappings()
        return [{**row, "detail": json.loads(row["detail"])} for row in rows]
