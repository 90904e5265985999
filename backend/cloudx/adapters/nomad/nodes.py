"""The machines that Nomad knows, by a blocking query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from nomad.api.exceptions import BaseNomadException
from requests import Response
from typing_extensions import override

from cloudx.domain.nodes import CONTROL_POOL, ClientState
from cloudx.services.fleet.ports import Answer, BlockingQuery, NomadClient

from .client import nomad_client, nomad_failure

CONNECT_SECONDS = 3.0
_LONGEST_WAIT_FACTOR = 1.07  # the sixteenth that the server may add
_GRACE_SECONDS = 2.0


class NomadNodes(BlockingQuery[tuple[NomadClient, ...]]):
    """Queries one Nomad agent; `token` is called for each request, since its file may change. Not thread-safe.

    `get_nodes` of python-nomad drops the index and takes no wait, so this goes through its `request`.
    """

    def __init__(self, address: str, token: Callable[[], str | None]) -> None:
        self._address = address
        self._nodes = nomad_client(address).nodes
        self._token = token

    @override
    def __call__(self, index: int, wait_seconds: float) -> Answer[tuple[NomadClient, ...]]:
        self._nodes.token = self._token()
        params: dict[str, Any] = {"index": index, "wait": f"{wait_seconds:g}s"} if index else {}
        timeout = (CONNECT_SECONDS, wait_seconds * _LONGEST_WAIT_FACTOR + _GRACE_SECONDS)
        try:
            response: Response = self._nodes.request(method="get", params=params, timeout=timeout)
        except BaseNomadException as error:
            raise nomad_failure(self._address, error, "node read") from error
        return Answer(int(response.headers["X-Nomad-Index"]), lambda: parse_clients(orjson.loads(response.content)))


def parse_clients(stubs: list[dict[str, Any]]) -> tuple[NomadClient, ...]:
    """The clients in an answer of /v1/nodes, in its order, without the control nodes, which scan nothing."""
    return tuple(
        NomadClient(
            node_id=stub["ID"],
            name=stub["Name"],
            ip=stub["Address"],
            state=state_of(stub),
            remark=stub.get("StatusDescription") or "",
        )
        for stub in stubs
        if stub.get("NodePool") != CONTROL_POOL
    )


def state_of(stub: dict[str, Any]) -> ClientState:
    """The state of a node stub; a machine that Nomad does not reach is down, even if it drains or is ineligible."""
    if stub["Status"] != "ready":  # initializing, down, disconnected
        return ClientState.DOWN
    if stub["Drain"]:
        return ClientState.DRAINING
    return ClientState.READY if stub["SchedulingEligibility"] == "eligible" else ClientState.INELIGIBLE
