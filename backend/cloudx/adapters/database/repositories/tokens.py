"""API tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select
from typing_extensions import override

from cloudx.adapters.database.schema.tables import tokens
from cloudx.domain.access import ApiToken, Role
from cloudx.services.ledger.tokens import Tokens


class SqlTokens(Tokens):
    """Implements Tokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def add(self, token: ApiToken) -> None:
        values: dict[str, Any] = {**vars(token), "role": token.role.value}
        self._connection.execute(insert(tokens).values(**values))

    @override
    def by_sha256(self, sha256: str) -> ApiToken | None:
        row = self._connection.execute(select(tokens).where(tokens.c.sha256 == sha256)).mappings().first()
        return _token(row) if row else None

    @override
    def all(self) -> list[ApiToken]:
        return [_token(row) for row in self._connection.execute(select(tokens).order_by(tokens.c.id)).mappings()]

    @override
    def delete(self, token_id: str) -> bool:
        return bool(self._connection.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount)


def _token(row: RowMapping) -> ApiToken:
    return ApiToken(**{**row, "role": Role(row["role"])})
