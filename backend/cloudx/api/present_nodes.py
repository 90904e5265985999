"""Nodes as the API shows them, and their list from the fleet's snapshot to the bytes of an answer.

GET /api/nodes is polled by every page and every script, so each step is made once and kept: the shape of a node for as
long as nothing changes about it; a list, its ETag and its compressed form for one snapshot.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Response, request

from cloudx.domain.nodes import NodeRole, NodeStatus
from cloudx.services.fleet.snapshot import FleetNode, FleetSnapshot

from .json_codec import encode, json_response

_GZIP_LEVEL = 1  # JSON of a fleet shrinks tenfold already; higher levels cost more than they save
# Not `gzip;q=0`, which refuses it.
_ACCEPTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


def show_node(fleet_node: FleetNode) -> dict[str, Any]:
    """A node, in the list and alone."""
    node = fleet_node.node
    return {
        "node_id": node.node_id,
        "hostname": node.hostname,
        "ip": node.ip,
        "role": node.role.value,
        "capabilities": node.capabilities,
        "version": node.version,
        "status": fleet_node.status.value,
        "last_seen": node.last_seen,
        "cpu": node.cpu,
        "mem": node.mem,
        "loadavg": node.loadavg,
        "updated_at": node.updated_at,
        "checks": [{"id": c.id, "name": c.name, "status": c.status.value, "output": c.output} for c in node.checks],
        "rate_limit_pps": node.rate_limit_pps,
        "sources": node.sources,
        "stale": fleet_node.is_stale,
        "scans_running": fleet_node.scans_running,
    }


@dataclass(frozen=True)
class EncodedList:
    """A list of nodes as it goes over the wire, plain and compressed, each with its strong ETag."""

    body: bytes

    @cached_property
    def _digest(self) -> str:
        return hashlib.blake2b(self.body, digest_size=16).hexdigest()

    @cached_property
    def gzipped(self) -> bytes:
        """The body compressed, at the first request that accepts it so."""
        return gzip.compress(self.body, _GZIP_LEVEL, mtime=0)

    @property
    def etag(self) -> str:
        """Of the plain body."""
        return f'"{self._digest}"'

    @property
    def gzipped_etag(self) -> str:
        """Of the compressed body."""
        return f'"{self._digest}-gz"'


class _EncodedSnapshot:
    """One snapshot: the shape of each node, and the lists that were requested."""

    def __init__(self, snapshot: FleetSnapshot, last: Mapping[FleetNode, dict[str, Any]]) -> None:
        self.snapshot = snapshot
        self.nodes = {node: last.get(node) or show_node(node) for node in snapshot.nodes}
        self._lists: dict[tuple[NodeStatus | None, NodeRole | None], EncodedList] = {}

    def chosen(self, status: NodeStatus | None, role: NodeRole | None) -> EncodedList:
        known = self._lists.get((status, role))
        if known is None:
            chosen = [
                shown
                for fleet_node, shown in self.nodes.items()
                if status in (None, fleet_node.status) and role in (None, fleet_node.node.role)
            ]
            known = self._lists[status, role] = EncodedList(encode(chosen))
        return known


class NodeLists:
    """The lists of the newest snapshot, each encoded at the first request for it."""

    def __init__(self) -> None:
        self._encoded: _EncodedSnapshot | None = None

    def of(
        self, snapshot: FleetSnapshot, status: NodeStatus | None = None, role: NodeRole | None = None
    ) -> EncodedList:
        """The nodes of a status and a role, by id; None stands for any."""
        encoded = self._encoded
        if encoded is None or encoded.snapshot is not snapshot:
            encoded = self._encoded = _EncodedSnapshot(snapshot, encoded.nodes if encoded else {})
        return encoded.chosen(status, role)


def answer_with(nodes: EncodedList) -> Response:
    """The list, compressed where the request accepts that, or 304 where the client has it already."""
    accepts_gzip = _ACCEPTS_GZIP.search(request.environ.get("HTTP_ACCEPT_ENCODING", "")) is not None
    body, etag = (nodes.gzipped, nodes.gzipped_etag) if accepts_gzip else (nodes.body, nodes.etag)
    if etag in request.environ.get("HTTP_IF_NONE_MATCH", ""):
        response = Response(status=304)
    else:
        response = json_response(body)
        if accepts_gzip:
            response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = etag
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "no-cache"  # keep it, but ask whether it still holds
    return response
