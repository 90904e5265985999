"""Nomad workload identities: tokens each task gets (https://developer.hashicorp.com/nomad/docs/concepts/workload-identity)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Unauthenticated
from cloudx.services.access.ports import TokenVerifier

from .jwt import jwks_client, unverified_claims, verified_claims

AUDIENCE = "cloudx"  # what an `identity` block for this API names in `aud`
_REQUIRED = ("exp", "iat", "sub", "nomad_job_id", "nomad_allocation_id")


class WorkloadIdentities(TokenVerifier):
    """The tasks of one Nomad cluster, as nodes.

    An identity speaks for its own node alone: the one in its claims (`nomad_node_id` or `node_id`), else the one that
    runs its allocation, which `node_of` looks up in Nomad. Without `node_of` it speaks for any node.
    """

    def __init__(self, jwks_url: str, node_of: Callable[[str], str] | None = None, audience: str = AUDIENCE) -> None:
        self._keys = jwks_client(jwks_url)
        self._node_of = node_of
        self._audience = audience

    @override
    def verify(self, token: str) -> Principal | None:
        """The node that runs the task. Raises Forbidden too, where the policy for `node_of` is missing."""
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
