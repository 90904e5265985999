"""What access decisions need from outside."""

from __future__ import annotations

from typing import Protocol

from cloudx.domain.access import Principal
from cloudx.domain.addresses import Address


class Resolver(Protocol):
    """Names to addresses."""

    def resolve(self, host_name: str) -> list[Address]:
        """The addresses of a name, IPv4 first; [] when it has none. Raises DependencyUnavailable without an answer."""
        ...


class TokenVerifier(Protocol):
    """Maps the signed tokens (JWT) of one issuer to principals."""

    def verify(self, token: str) -> Principal | None:
        """None when another issuer made it. Raises Unauthenticated, or DependencyUnavailable without the keys."""
        ...
