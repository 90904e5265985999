"""API tokens in the ledger."""

from __future__ import annotations

from typing import Protocol

from cloudx.domain.access import ApiToken


class Tokens(Protocol):
    """API tokens, by the hash of their secret."""

    def add(self, token: ApiToken) -> None:
        """Keep a token's hash and rights."""
        ...

    def by_sha256(self, sha256: str) -> ApiToken | None:
        """The token with this hash."""
        ...

    def all(self) -> list[ApiToken]:
        """Every token, oldest first."""
        ...

    def delete(self, token_id: str) -> bool:
        """Remove one; False when there was none."""
        ...
