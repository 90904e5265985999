"""When a scan of one stage or of two is over."""

from __future__ import annotations

from sqlalchemy import Connection, and_, exists, func, or_, select

from cloudx.adapters.database.repositories.scan_rows import OPEN
from cloudx.adapters.database.schema.tables import inline_results, scan_nodes, scans
from cloudx.domain.scans import ScanStatus

_FINAL = ScanStatus.COMPLETED.value, ScanStatus.FAILED.value, ScanStatus.STOPPED.value
_second, _second_nodes = scans.alias("second"), scan_nodes.alias("second_nodes")
_total_of_second = select(_second.c.chunks_total).where(_second.c.id == scans.c.followed_by).scalar_subquery()
_settled_of_second = (
    select(func.coalesce(func.sum(_second_nodes.c.chunks_done + _second_nodes.c.chunks_failed), 0))
    .where(_second_nodes.c.scan_id == scans.c.followed_by)
    .scalar_subquery()
)
_SECOND_IS_OVER = or_(scans.c.followed_by.is_(None), _total_of_second == _settled_of_second)


def stage_ids(connection: Connection, scan_id: str) -> list[str]:
    """The scan itself, and before it its second stage where it has one: the order in which they are locked."""
    second = select(scans.c.followed_by).where(scans.c.id == scan_id, scans.c.followed_by.is_not(None))
    return [*connection.execute(second).scalars(), scan_id]


def finishable_scans(connection: Connection, scan_id: str | None = None) -> list[str]:
    """Scans (all of them, or one) that are open although each chunk of each of their stages is done or failed.

    Both stages in one statement: between two, a chunk of the first could add to the second.
    """
    by_node = scan_nodes.c
    counted = select(func.sum(by_node.chunks_done + by_node.chunks_failed)).where(by_node.scan_id == scans.c.id)
    is_over = and_(scans.c.status.in_(OPEN), scans.c.chunks_total == counted.scalar_subquery(), _SECOND_IS_OVER)
    query = select(scans.c.id).where(is_over, scans.c.follows.is_(None))
    if scan_id is not None:
        query = query.where(scans.c.id == scan_id)
    return list(connection.execute(query).scalars())


def lacks_results(connection: Connection, scan_id: str) -> bool:
    """True when nothing can be added to what was found, and its inline results are not kept yet."""
    by_node = scan_nodes.c
    query = select(scans.c.id).where(
        scans.c.id == scan_id,
        scans.c.follows.is_(None),
        scans.c.status.in_(_FINAL),
        ~exists().where(inline_results.c.scan_id == scans.c.id),
        ~exists().where(by_node.scan_id.in_([scans.c.id, scans.c.followed_by]), by_node.chunks_leased > 0),
    )
    return connection.execute(query).first() is not None
