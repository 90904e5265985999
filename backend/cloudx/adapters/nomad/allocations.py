"""Which machine runs an allocation: the claims of a workload identity do not always tell."""

from __future__ import annotations

from collections.abc import Callable

from nomad.api.exceptions import BaseNomadException

from cloudx.domain.errors import NotFound, Unauthenticated

from .client import nomad_client, nomad_failure

_KNOWN_LIMIT = 10_000  # an allocation never moves, so what is known stays true


class NomadAllocations:
    """Looks each allocation up once, at one Nomad agent; `token` is called each time, since its file may change."""

    def __init__(self, address: str, token: Callable[[], str | None]) -> None:
        self._address = address
        self._token = token
        self._known: dict[str, str] = {}

    def node_of(self, allocation_id: str) -> str:
        """The node's id. Raises Unauthenticated for an unknown allocation, DependencyUnavailable, or Forbidden."""
        known = self._known.get(allocation_id)
        if known is not None:
            return known
        client = nomad_client(self._address, self._token())  # not shared: many threads call this
        try:
            node_id = str(client.allocation.get_allocation(allocation_id)["NodeID"])
        except BaseNomadException as error:
            failure = nomad_failure(self._address, error, 'namespace "default" { capabilities = ["read-job"] }')
            if isinstance(failure, NotFound):
                raise Unauthenticated("This identity's allocation is gone. Restart the task for a new one.") from error
            raise failure from error
        if len(self._known) >= _KNOWN_LIMIT:
            self._known.clear()
        self._known[allocation_id] = node_id
        return node_id
