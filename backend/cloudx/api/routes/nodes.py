"""Nodes register, send heartbeats and are shown."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from cloudx.domain.errors import NotFound
from cloudx.domain.nodes import NodeRole, NodeStatus
from cloudx.services.fleet.forget import forget_node
from cloudx.services.fleet.report import beat_node, register_node

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal, process
from ..metrics.requests import HEARTBEATS
from ..present_nodes import answer_with, show_node
from ..rate_limits import count_report
from ..schemas.common import Message, error_responses
from ..schemas.nodes import BeatTaken, HeartbeatBody, NodeItem, NodeList, NodePath, NodesQuery, RegisterBody, Registered

blueprint = resource("nodes", "/api/nodes")

_NOT_MODIFIED: dict[str | int, Any] = {304: {"description": "As the If-None-Match header says"}}


@blueprint.get("", summary="List nodes", responses={200: NodeList, **_NOT_MODIFIED})
@access(Access.VIEWER)
def list_nodes(query: NodesQuery) -> Any:
    """From memory: a request never waits for a database."""
    return _list(query.status, query.role)


@blueprint.before_request
def answer_poll() -> Response | None:
    """Answer a poll of the whole list before its empty query is validated, which would take a tenth of the time."""
    is_poll = request.endpoint == "nodes.list_nodes" and request.method == "GET" and not request.query_string
    return _list() if is_poll else None


@blueprint.before_request
def count_reports_of_a_bound_credential() -> None:
    """Before the body is read: whoever stole the credential of one node has no more than that node's turns."""
    bound_to = principal().node_id if request.method == "POST" else None
    if bound_to is not None:
        count_report(bound_to)


def _count(node_id: str) -> None:
    """Count a report of a credential that speaks for several nodes."""
    if principal().node_id is None:
        count_report(node_id)


def _list(status: NodeStatus | None = None, role: NodeRole | None = None) -> Response:
    return answer_with(process().node_lists.of(deps().fleet.current(), status, role))


@blueprint.get("/<node_id>", summary="Show a node", responses={200: NodeItem, **error_responses(404)})
@access(Access.VIEWER)
def show(path: NodePath) -> Any:
    """From the same snapshot as the list."""
    node = deps().fleet.current().node(path.node_id)
    if node is None:
        raise NotFound(f"There is no node {path.node_id[:64]!r}. `cloudx nodes` and GET /api/nodes list them.")
    return show_node(node)


@blueprint.post(
    "/register", summary="Register a node", responses={200: Registered, 201: Registered, **error_responses(409)}
)
@access(Access.NODES)
def register(body: RegisterBody) -> Any:
    """201 the first time, 200 after."""
    deps().authenticate.require_node(principal(), body.node_id)
    _count(body.node_id)
    is_new = register_node(deps().open_ledger, body.to_registration(), deps().settings.cloudx_max_nodes)
    deps().fleet.nudge()
    return {"node_id": body.node_id, "status": "registered"}, 201 if is_new else 200


@blueprint.post("/heartbeat", summary="Beat", responses={200: BeatTaken, **error_responses(404)})
@access(Access.NODES)
def heartbeat(body: HeartbeatBody) -> Any:
    """404 node_not_registered tells a node to register (again). In a large fleet `next_seconds` is longer."""
    deps().authenticate.require_node(principal(), body.node_id)
    _count(body.node_id)
    fleet = deps().fleet
    taken = beat_node(deps().open_ledger, body.to_heartbeat(), fleet.size, fleet.by_heartbeat(body.node_id))
    HEARTBEATS.inc()
    if taken.changed:  # the rest is seen with the next regular refresh, within a second
        deps().fleet.nudge()
    return {"node_id": body.node_id, "status": "ok", "next_seconds": taken.next_seconds}


@blueprint.delete(
    "/<node_id>", summary="Forget a node that is gone", responses={200: Message, **error_responses(404, 409)}
)
@access(Access.ADMIN)
def remove(path: NodePath) -> Any:
    """409 while it beats. Its tokens stay: DELETE /api/tokens/ID revokes them."""
    forget_node(deps().open_ledger, principal(), path.node_id)
    deps().fleet.nudge()
    return {"message": f"Node {path.node_id} is forgotten. A token of it stays good until it is revoked."}
