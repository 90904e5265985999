"""Nodes register, beat and are shown."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, request

from cloudx.domain.errors import NotFound
from cloudx.services.fleet.report import beat_node, register_node

from ..access import Access, access
from ..blueprint import resource
from ..context import deps, principal
from ..json_codec import json_response
from ..schemas.common import error_responses
from ..schemas.nodes import HeartbeatBody, NodeItem, NodeList, NodePath, NodesQuery, RegisterBody, Registered

blueprint = resource("nodes", "/api/nodes")

# Not `gzip;q=0`, which refuses it.
_WANTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")
_NO_QUERY = NodesQuery()
_NOT_MODIFIED: dict[str | int, Any] = {304: {"description": "As the If-None-Match header says"}}


@blueprint.get("", summary="List nodes", responses={200: NodeList, **_NOT_MODIFIED})
@access(Access.VIEWER)
def list_nodes(query: NodesQuery) -> Any:
    """From memory: a request never waits for a database."""
    return _encoded(query)


@blueprint.before_request
def answer_a_poll() -> Response | None:
    """The list without a query has nothing to validate, which would take a tenth of the time."""
    is_poll = request.endpoint == "nodes.list_nodes" and request.method == "GET" and not request.query_string
    return _encoded(_NO_QUERY) if is_poll else None


def _encoded(query: NodesQuery) -> Response:
    nodes = deps().fleet.current().encoded(query.status, query.role)
    wants_gzip = _WANTS_GZIP.search(request.environ.get("HTTP_ACCEPT_ENCODING", "")) is not None
    body, etag = (nodes.gzipped, nodes.gzipped_etag) if wants_gzip else (nodes.body, nodes.etag)
    if etag in request.environ.get("HTTP_IF_NONE_MATCH", ""):
        response = Response(status=304)
    else:
        response = json_response(body)
        if wants_gzip:
            response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = etag
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "no-cache"  # keep it, but ask whether it still holds
    return response


@blueprint.get("/<node_id>", summary="Show a node", responses={200: NodeItem, **error_responses(404)})
@access(Access.VIEWER)
def show(path: NodePath) -> Any:
    """From the same view as the list."""
    node = deps().fleet.current().node(path.node_id)
    if node is None:
        raise NotFound(f"There is no node {path.node_id[:64]!r}. `cloudx nodes` and GET /api/nodes list them.")
    return node


@blueprint.post("/register", summary="Register a node", responses={200: Registered, 201: Registered})
@access(Access.NODES)
def register(body: RegisterBody) -> Any:
    """201 the first time, 200 after."""
    deps().authenticate.require_node(principal(), body.node_id)
    is_new = register_node(deps().open_ledger, body.to_registration())
    deps().fleet.nudge()
    return {"node_id": body.node_id, "status": "registered"}, 201 if is_new else 200


@blueprint.post("/heartbeat", summary="Beat", responses={200: Registered, **error_responses(404)})
@access(Access.NODES)
def heartbeat(body: HeartbeatBody) -> Any:
    """404 node_not_registered tells a node to register (again)."""
    deps().authenticate.require_node(principal(), body.node_id)
    changed = beat_node(deps().open_ledger, body.to_heartbeat())
    if changed:  # the rest is seen with the next regular refresh, within a second
        deps().fleet.nudge()
    return {"node_id": body.node_id, "status": "ok"}
