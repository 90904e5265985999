"""Nodes as they reported themselves."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.tables import chunks, nodes
from cloudx.domain.nodes import Check, CheckStatus, Heartbeat, Node, NodeRole, NodeStatus
from cloudx.domain.reach import Reach
from cloudx.services.ledger.ledger import Nodes

_BEAT = (
    update(nodes)
    .where(nodes.c.node_id == bindparam("said_id"))
    .values(
        last_seen=db_now(),
        reported_status=bindparam("said_status"),
        loadavg=bindparam("said_loadavg"),
        beat_seconds=bindparam("said_seconds"),
        cpu=bindparam("cpu"),
        mem=bindparam("mem"),
        updated_at=bindparam("updated_at"),
    )
    .returning(*nodes.c)
)


class SqlNodes(Nodes):
    """Implements Nodes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def get(self, node_id: str) -> Node | None:
        row = self._connection.execute(select(nodes).where(nodes.c.node_id == node_id)).first()
        return _node(tuple(row)) if row else None

    @override
    def all(self) -> list[Node]:
        return [_node(tuple(row)) for row in self._connection.execute(select(nodes).order_by(nodes.c.node_id))]

    @override
    def seen_since(self, moment: datetime) -> list[Node]:
        query = select(nodes).where(nodes.c.last_seen >= moment)
        return [_node(tuple(row)) for row in self._connection.execute(query)]

    @override
    def save(self, node: Node) -> None:
        values = _values(node)
        insert = postgresql.insert if self._connection.dialect.name == "postgresql" else sqlite.insert
        self._connection.execute(
            insert(nodes).values(**values).on_conflict_do_update(index_elements=["node_id"], set_=values)
        )

    @override
    def beat(self, heartbeat: Heartbeat, beat_seconds: float) -> Node | None:
        said = {
            "said_id": heartbeat.node_id,
            "said_status": heartbeat.status.value,
            "said_loadavg": json.dumps(heartbeat.loadavg),
            "said_seconds": beat_seconds,
            **{name: getattr(heartbeat, name) for name in ("cpu", "mem", "updated_at")},
        }
        row = self._connection.execute(_BEAT, said).first()
        return _node(tuple(row)) if row else None

    @override
    def count(self) -> int:
        return int(self._connection.execute(select(func.count()).select_from(nodes)).scalar_one())

    @override
    def silent_since(self, moment: datetime) -> list[str]:
        query = select(nodes.c.node_id).where(nodes.c.last_seen < moment).order_by(nodes.c.node_id)
        return list(self._connection.execute(query).scalars())

    @override
    def delete(self, node_id: str) -> bool:
        return bool(self._connection.execute(delete(nodes).where(nodes.c.node_id == node_id)).rowcount)

    @override
    def scans_running(self) -> dict[str, int]:
        query = (
            select(chunks.c.node_id, func.count(chunks.c.scan_id.distinct()))
            .where(chunks.c.state == "leased")
            .group_by(chunks.c.node_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}


def _values(node: Node) -> dict[str, Any]:
    # The other fields are derived when the fleet is joined (services/fleet/join.py).
    values = {name: value for name, value in vars(node).items() if name in nodes.c}
    values["role"] = node.role.value
    values["reported_status"] = node.reported_status.value
    values["capabilities"] = json.dumps(node.capabilities)
    values["loadavg"] = json.dumps(node.loadavg)
    values["checks"] = json.dumps([vars(check) for check in node.checks])
    values["reach"] = json.dumps(vars(node.reach)) if node.reach else None
    return values


@lru_cache(maxsize=4096)
def _reach(text: str) -> Reach:
    return Reach(**{name: tuple(ranges) for name, ranges in json.loads(text).items()})


@lru_cache(maxsize=4096)  # the fleet is read each second, and its checks seldom change
def _checks(text: str) -> tuple[Check, ...]:
    return tuple(Check(**{**check, "status": CheckStatus(check["status"])}) for check in json.loads(text))


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=8192)  # few rows have changed since the fleet was last read: the same object for the rest
def _node(values: tuple[Any, ...]) -> Node:
    row = dict(zip(nodes.c.keys(), values, strict=True))
    return Node(
        **{
            **row,
            "role": NodeRole(row["role"]),
            "reported_status": NodeStatus(row["reported_status"]),
            "capabilities": _words(row["capabilities"]),
            "loadavg": tuple(json.loads(row["loadavg"])),
            "checks": _checks(row["checks"]),
            "reach": _reach(row["reach"]) if row["reach"] else None,
        }
    )
