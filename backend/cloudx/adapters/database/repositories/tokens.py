"""API tokens."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select

from cloudx.adapters.database.schema.tables import tokens
from cloudx.domain.access import ApiToken, Role


class SqlTokens:
    """Implements services.ports.Tokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: ApiToken) -> None:
        """Keep a token's hash and rights."""
        values: dict[str, Any] = {**vars(token), "role": token.role.value}
        self._connection.execute(insert(tokens).values(**values))

    def by_sha256(self, sha256: str) -> ApiToken | None:
        """The token with this hash."""
        row = self._connection.execute(select(tokens).where(tokens.c.sha256 == sha256)).mappings().first()
        return _token(row) if row else None

    def all(self) -> list[ApiToken]:
        """Every token, oldest first."""
        return [_token(row) for row in self._connection.execute(select(tokens).order_by(tokens.c.id)).mappings()]

    def delete(self, token_id: str) -> bool:
        """Remove one; False when there was none."""
        return bool(self._connection.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount)


def _token(row: RowMapping) -> ApiToken:
    return ApiToken(**{**row, "role": Role(row["role"])})
