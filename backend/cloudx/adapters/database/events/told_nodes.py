"""What was told of nodes, and the duties of which each is one process's at a time."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import override

from cloudx.adapters.database.connection.column_types import db_now
from cloudx.adapters.database.schema.event_tables import duties, told_nodes
from cloudx.domain.nodes import NodeStatus
from cloudx.services.ledger.events import Duties, ToldNodes


class SqlToldNodes(ToldNodes):
    """Implements ToldNodes; the triggers tell_node write the events."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def all(self) -> dict[str, NodeStatus]:
        query = select(told_nodes.c.node_id, told_nodes.c.status)
        return {node_id: NodeStatus(status) for node_id, status in self._connection.execute(query)}

    @override
    def save(self, statuses: Mapping[str, NodeStatus]) -> None:
        if not statuses:
            return
        insert = _insert_on(self._connection)(told_nodes)
        upsert = insert.on_conflict_do_update(index_elements=["node_id"], set_={"status": insert.excluded.status})
        rows = [{"node_id": node_id, "status": statuses[node_id].value} for node_id in sorted(statuses)]
        self._connection.execute(upsert, rows)

    @override
    def forget(self, node_id: str) -> None:
        self._connection.execute(delete(told_nodes).where(told_nodes.c.node_id == node_id))


class SqlDuties(Duties):
    """Implements Duties."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def is_free(self, name: str, holder: str) -> bool:
        held = duties.c.name == name, duties.c.holder != holder, duties.c.until >= db_now()
        return self._connection.execute(select(duties.c.name).where(*held)).first() is None

    @override
    def take(self, name: str, holder: str, seconds: float) -> bool:
        mine = {"holder": holder, "until": db_now(seconds)}
        taken = (
            _insert_on(self._connection)(duties)
            .values(name=name, **mine)
            .on_conflict_do_update(
                index_elements=["name"], set_=mine, where=or_(duties.c.holder == holder, duties.c.until < db_now())
            )
            .returning(duties.c.name)
        )
        return self._connection.execute(taken).first() is not None


def _insert_on(connection: Connection):  # type: ignore[no-untyped-def]
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
