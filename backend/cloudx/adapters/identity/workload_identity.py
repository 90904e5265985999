"""Nomad workload identities: tokens each task gets (https://developer.hashicorp.com/nomad/docs/concepts/workload-identity)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Unauthenticated

from .jwt import jwks_client, unverified_claims, verified_claims

AUDIENCE = "cloudx"  # what an `identity` block for this API names in `aud`
_REQUIRED = ("exp", "iat", "sub", "nomad_job_id", "nomad_allocation_id")


class WorkloadIdentities:
    """Implements services.ports.TokenVerifier for the tasks of one Nomad cluster: they are nodes, and nothing else.

    An identity speaks for its own node alone: the one it carries (`nomad_node_id` or `node_id`), else the one that its
    allocation runs on, which `node_of` asks Nomad for. Without `node_of` it speaks for any.
    """

    def __init__(self, jwks_url: str, node_of: Callable[[str], str] | None = None, audience: str = AUDIENCE) -> None:
        self._keys = jwks_client(jwks_url)
        self._node_of = node_of
        self._audience = audience

    def verify(self, token: str) -> Principal | None:
        """The node a task runs on. Raises Unauthenticated, DependencyUnavailable, or Forbidden for want of a policy."""
        if "nomad_job_id" not in unverified_claims(token):
            return None
        claims = verified_claims(token, self._keys, required=_REQUIRED)
        self._require_audience(claims.get("aud"))
        node_id = claims.get("nomad_node_id") or claims.get("node_id")
        if node_id is None and self._node_of is not None:
            node_id = self._node_of(str(claims["nomad_allocation_id"]))
        return Principal(f"nomad:{claims['sub']}", Role.NODE, str(node_id) if node_id else None)

    def _require_audience(self, audience: Any) -> None:
        named = [audience] if isinstance(audience, str) else audience or []
        if named and self._audience not in named:
            raise Unauthenticated(
                f"This identity is for {', '.join(map(str, named))}. Give the task an identity with "
                f'aud = ["{self._audience}"].'
            )
