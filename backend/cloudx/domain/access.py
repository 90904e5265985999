"""Roles, the principals that have them, and API tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .errors import Forbidden, InvalidInput


class Role(StrEnum):
    """viewer < operator < admin; a node may only speak for itself."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    NODE = "node"


_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.ADMIN: 3}


@dataclass(frozen=True)
class Principal:
    """The person, token or node that a request comes from.

    A node credential speaks for `node_id` alone, or for any node of the fleet if that is None. `token_id` tells API
    tokens apart: two may have one name.
    """

    name: str
    role: Role
    node_id: str | None = None
    token_id: str | None = None

    @property
    def key(self) -> str:
        """What is kept for this very credential (idempotency keys, counts of requests) is kept under this."""
        return f"token-id:{self.token_id}" if self.token_id else self.name

    def reaches(self, needed: Role) -> bool:
        """Whether the role may do what `needed` (viewer, operator or admin) may."""
        return _RANK.get(self.role, 0) >= _RANK[needed]

    def require(self, needed: Role) -> None:
        """Raise Forbidden unless the role reaches `needed`."""
        if not self.reaches(needed):
            raise Forbidden(f"This needs the role {needed}; {self.name} has {self.role}. Ask an admin for a token.")

    def require_node(self, node_id: str) -> None:
        """Raise Forbidden unless this is the credential of that very node."""
        if self.role is not Role.NODE:
            raise Forbidden("Nodes register and beat with a node token: POST /api/tokens with role node and node_id.")
        if self.node_id is not None and self.node_id != node_id:
            raise Forbidden(f"This credential is bound to node {self.node_id!r}; it cannot speak for {node_id!r}.")


ITSELF = Principal("cloudx", Role.ADMIN)  # what an install does by itself, in the audit trail


@dataclass(frozen=True)
class ApiToken:
    """A token as it is stored: its SHA-256, never the secret."""

    id: str
    name: str
    role: Role
    sha256: str
    created_at: datetime
    created_by: str
    node_id: str | None = None
    expires_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """True until it expires."""
        return self.expires_at is None or now < self.expires_at

    def principal(self) -> Principal:
        """The principal that it stands for."""
        return Principal(f"token:{self.name}", self.role, self.node_id, self.id)


def check_token_request(role: Role, node_id: str | None) -> None:
    """A node token names its node, and no other token does. Raises InvalidInput."""
    if role is Role.NODE and not node_id:
        raise InvalidInput("node_id", "A node token is bound to one node: give its node_id.")
    if role is not Role.NODE and node_id:
        raise InvalidInput("node_id", "Only tokens with the role node have a node_id: leave it out.")
