"""The audit trail."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, select
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import audit
from cloudx.domain.access import Principal
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import Audit


class SqlAudit(Audit):
    """Implements Audit."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def record(self, principal: Principal, action: str, subject: str, **detail: Any) -> None:
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

    @override
    def entries(self, limit: int) -> list[dict[str, Any]]:
        rows = self._connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit)).mappings()
        return [{**row, "detail": json.loads(row["detail"])} for row in rows]
