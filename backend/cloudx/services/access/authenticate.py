"""Map a request to its principal by the Authorization header."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Forbidden, Unauthenticated
from cloudx.services.ledger.ledger import OpenLedger

from .ports import TokenVerifier
from .tokens import PREFIX, authenticate_token, hash_token

CACHE_SECONDS = 5.0  # a token revoked by another process works this much longer
CACHE_SIZE = 1024
MAX_TOKEN_LENGTH = 8192

ANONYMOUS = Principal("anonymous", Role.ADMIN)
_ADMIN = Principal("admin", Role.ADMIN)
_ANY_NODE = Principal("node", Role.NODE)
_REMEDY = "Send `Authorization: Bearer TOKEN`; an admin makes tokens with `cloudx tokens add` or POST /api/tokens."


@dataclass
class TokenCache:
    """Good tokens of the last seconds by hash, so that hot requests do no database work."""

    seconds: float = CACHE_SECONDS
    size: int = CACHE_SIZE
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[str, tuple[float, Principal]] = field(default_factory=OrderedDict)

    def get(self, sha256: str) -> Principal | None:
        """The principal, while it is fresh."""
        expires_at, principal = self._known.get(sha256, (float("-inf"), None))
        return principal if self.clock() < expires_at else None

    def put(self, sha256: str, principal: Principal) -> None:
        """Remember a token; over the bound the oldest goes."""
        self._known.pop(sha256, None)
        self._known[sha256] = (self.clock() + self.seconds, principal)
        if len(self._known) > self.size:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget all, after a revocation."""
        self._known.clear()


@dataclass(frozen=True)
class Authenticate:
    """Authenticate requests. It reads configured tokens each time, since their files may change."""

    open_ledger: OpenLedger
    admin_token: Callable[[], str | None]
    node_token: Callable[[], str | None]
    verifiers: Sequence[TokenVerifier] = ()
    is_open: bool = False
    cache: TokenCache = field(default_factory=TokenCache)

    def __call__(self, authorization: str | None) -> Principal:
        """The principal of the header. Raises Unauthenticated, or DependencyUnavailable if it cannot be checked now."""
        if self.is_open:
            return ANONYMOUS
        token = _bearer(authorization)
        if _same(token, self.admin_token()):
            return _ADMIN
        if _same(token, self.node_token()):
            return _ANY_NODE
        if token.startswith(PREFIX):
            return self._by_ledger(token)
        return self._by_signature(token)

    def require_node(self, principal: Principal, node_id: str) -> None:
        """Raise Forbidden unless the principal may speak for this node; with open access every caller may."""
        if not self.is_open:
            principal.require_node(node_id)

    def require_closed(self) -> None:
        """Raise Forbidden with open access: a token made there would outlive it."""
        if self.is_open:
            raise Forbidden(
                "An open API makes no tokens: whoever reaches it could keep one for later. Set CLOUDX_AUTH=token, "
                "and ask again with the admin's."
            )

    def _by_ledger(self, token: str) -> Principal:
        sha256 = hash_token(token)
        principal = self.cache.get(sha256)
        if principal is None:
            principal = authenticate_token(self.open_ledger, token)
            self.cache.put(sha256, principal)
        return principal

    def _by_signature(self, token: str) -> Principal:
        if token.count(".") == 2:
            for verifier in self.verifiers:
                principal = verifier.verify(token)
                if principal is not None:
                    return principal
        raise Unauthenticated(f"This token is not known here. {_REMEDY}")


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise Unauthenticated(f"This needs a credential. {_REMEDY}")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise Unauthenticated(f"The Authorization header is not a bearer token. {_REMEDY}")
    return token


def _same(presented: str, configured: str | None) -> bool:
    return configured is not None and hmac.compare_digest(presented.encode(), configured.encode())
