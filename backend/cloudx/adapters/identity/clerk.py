"""Clerk session tokens (https://clerk.com/docs/backend-requests/manual-jwt)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Unauthenticated
from cloudx.services.access.ports import TokenVerifier

from .jwt import jwks_client, unverified_claims, verified_claims

_REQUIRED = ("exp", "nbf", "iat", "iss", "sub")
_PEOPLE = (Role.VIEWER.value, Role.OPERATOR.value, Role.ADMIN.value)


class ClerkSessions(TokenVerifier):
    """The users of one Clerk instance.

    `jwt_key` is Clerk's PEM for use without a network; else keys come from the issuer's JWKS.
    `authorized_parties` are the origins whose sessions are accepted; () accepts any.
    """

    def __init__(
        self,
        issuer: str,
        authorized_parties: tuple[str, ...] = (),
        jwt_key: str | None = None,
        default_role: Role = Role.VIEWER,
    ) -> None:
        self._issuer = issuer
        self._authorized_parties = authorized_parties
        # A PEM in an environment variable often has its line ends escaped.
        self._keys = (
            jwt_key.replace("\\n", "\n") if jwt_key else jwks_client(f"{issuer.rstrip('/')}/.well-known/jwks.json")
        )
        self._default_role = default_role

    @override
    def verify(self, token: str) -> Principal | None:
        if unverified_claims(token).get("iss") != self._issuer:
            return None
        claims = verified_claims(token, self._keys, required=_REQUIRED, issuer=self._issuer)
        if self._authorized_parties and claims.get("azp") not in self._authorized_parties:
            raise Unauthenticated("This session was made for another site (azp). Sign in on the one this API serves.")
        if claims.get("sts") == "pending":
            raise Unauthenticated("This session is still pending. Finish signing in.")
        return Principal(f"clerk:{claims['sub']}", self._role(claims))

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """`metadata.role`, else `public_metadata.role`, else the default; an unknown role becomes viewer."""
        for place in ("metadata", "public_metadata"):
            metadata = claims.get(place)
            named = metadata.get("role") if isinstance(metadata, dict) else None
            if named is not None:
                return Role(named) if named in _PEOPLE else Role.VIEWER
        return self._default_role
