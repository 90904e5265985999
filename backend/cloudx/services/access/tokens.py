"""Issue and revoke API tokens, and map a presented token to its principal."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from cloudx.domain.access import ApiToken, Principal, Role, check_token_request
from cloudx.domain.errors import InvalidInput, NotFound, Unauthenticated
from cloudx.services.ledger.ids import new_id
from cloudx.services.ledger.ledger import OpenLedger

PREFIX = "cx_"  # lets secret scanners find leaked tokens


def hash_token(secret: str) -> str:
    """SHA-256 in hex: enough for 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def issue_token(
    open_ledger: OpenLedger,
    principal: Principal,
    *,
    name: str,
    role: Role,
    node_id: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token; the second value is its secret, which is not stored. Raises InvalidInput."""
    check_token_request(role, node_id)
    secret = PREFIX + secrets.token_urlsafe(32)
    with open_ledger() as ledger:
        now = ledger.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInput("expires_at", "expires_at lies in the past. Give a later time, or none.")
        token = ApiToken(new_id(), name, role, hash_token(secret), now, principal.name, node_id, expires_at)
        ledger.tokens.add(token)
        ledger.audit.record(principal, "token.issue", token.id, name=name, role=role, node_id=node_id)
        ledger.commit()
    return token, secret


def revoke_token(open_ledger: OpenLedger, principal: Principal, token_id: str) -> None:
    """Make a token worthless. Raises NotFound."""
    with open_ledger() as ledger:
        if not ledger.tokens.delete(token_id):
            raise NotFound(f"There is no token {token_id[:64]!r}. `cloudx tokens list` shows them.")
        ledger.audit.record(principal, "token.revoke", token_id)
        ledger.commit()


def authenticate_token(open_ledger: OpenLedger, secret: str) -> Principal:
    """The principal of a presented token. Raises Unauthenticated."""
    with open_ledger(read_only=True) as ledger:
        token = ledger.tokens.by_sha256(hash_token(secret))
        if token is None or not token.is_live(ledger.now()):
            raise Unauthenticated("This token is unknown, revoked or expired. Ask an admin for a new one.")
        return token.principal()
