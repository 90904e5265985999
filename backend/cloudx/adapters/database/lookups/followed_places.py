"""Where second stages have an address: in the rows of what followed from their first stages (ADR 0038)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from cloudx.adapters.database.schema.tables import follow_ups, scans
from cloudx.domain.addresses import offset_in_texts
from cloudx.domain.port_set import PortSet

_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class FollowedPlace:
    """A row of a second stage that has the address, at this offset of the stage; chunks do not reach over a row."""

    scan_id: str
    address_start: int
    address_count: int
    offset: int
    ports: PortSet

    def has(self, address_start: int) -> bool:
        """True for a chunk that begins there."""
        return self.address_start <= address_start < self.address_start + self.address_count


def followed_places(connection: Connection, first_ids: Sequence[str], key: int) -> list[FollowedPlace]:
    """The rows with the address, of the second stages of these scans."""
    if not first_ids:
        return []
    columns = follow_ups.c["scan_id", "address_start", "address_count", "addresses", "ports"]
    query = (
        select(*columns)
        .join(scans, scans.c.followed_by == follow_ups.c.scan_id)
        .where(scans.c.id.in_(first_ids))
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    places = []
    for scan_id, start, count, addresses, ports in connection.execute(query):
        within = offset_in_texts(addresses.splitlines(), key)
        if within is not None:
            places.append(FollowedPlace(scan_id, start, count, start + within, PortSet.parse(ports)))
    return places
