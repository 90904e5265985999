"""Nomad workload identities: tokens each task gets (https://developer.hashicorp.com/nomad/docs/concepts/workload-identity)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from cloudx.domain.access import Principal, Role
from cloudx.domain.errors import Unauthenticated
from cloudx.services.access.ports import TokenVerifier

from .jwt import jwks_client, unverified_claims, verified_claims

AUDIENCE = "cloudx"  # what an `identity` block for this API names in `aud`
_REQUIRED = ("exp", "iat", "sub", "aud", "nomad_namespace", "nomad_job_id", "nomad_allocation_id")


@dataclass(frozen=True)
class AcceptedJobs:
    """Whose identities are accepted: those of these jobs, in this namespace, made for this audience."""

    job_ids: tuple[str, ...] = ("node",)
    namespace: str = "default"
    audience: str = AUDIENCE


class WorkloadIdentities(TokenVerifier):
    """The tasks of some jobs of one Nomad cluster, as nodes: any job of the cluster may ask Nomad for an identity.

    An identity speaks for its own node alone: the one in its claims (`nomad_node_id` or `node_id`), else the one that
    runs its allocation, which `node_of` looks up in Nomad. Without both it is refused.
    """

    def __init__(
        self, jwks_url: str, node_of: Callable[[str], str] | None = None, accepted: AcceptedJobs | None = None
    ) -> None:
        self._keys = jwks_client(jwks_url)
        self._node_of = node_of
        self._accepted = accepted or AcceptedJobs()

    @override
    def verify(self, token: str) -> Principal | None:
        """The node that runs the task. Raises Forbidden too, where the policy for `node_of` is missing."""
        if "nomad_job_id" not in unverified_claims(token):
            return None
        claims = verified_claims(token, self._keys, required=_REQUIRED)
        self._require_audience(claims["aud"])
        self._require_job(claims["nomad_namespace"], claims["nomad_job_id"])
        return Principal(f"nomad:{claims['sub']}", Role.NODE, self._node(claims))

    def _require_audience(self, audience: Any) -> None:
        named = audience if isinstance(audience, list) else [audience]
        if self._accepted.audience not in named:
            raise Unauthenticated(
                f"This identity is for {', '.join(map(str, named))}. Give the task an identity with "
                f'aud = ["{self._accepted.audience}"].'
            )

    def _require_job(self, namespace: Any, job_id: Any) -> None:
        accepted = self._accepted
        if namespace != accepted.namespace or job_id not in accepted.job_ids:
            raise Unauthenticated(
                f"This identity is of the job {job_id!r} in {namespace!r}; nodes are {', '.join(accepted.job_ids)} in "
                f"{accepted.namespace!r} (CLOUDX_NOMAD_NODE_JOBS, CLOUDX_NOMAD_NAMESPACE)."
            )

    def _node(self, claims: dict[str, Any]) -> str:
        named = claims.get("nomad_node_id") or claims.get("node_id")
        if named is None and self._node_of is not None:
            named = self._node_of(str(claims["nomad_allocation_id"]))
        if not named:
            raise Unauthenticated("This identity does not name its node. Set the API's NOMAD_ADDR to ask Nomad for it.")
        return str(named)
