"""The attempts at one address in a span of time: scans by time, then by their targets, then attempts by their place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import chain, repeat
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, RowMapping, Select, and_, bindparam, literal_column, or_, select
from typing_extensions import override

from cloudx.adapters.database.repositories.scan_rows import type_of
from cloudx.adapters.database.schema.tables import attempts, scan_targets, scans
from cloudx.domain.addresses import Address, offset_in_texts, to_key
from cloudx.domain.chunks import LEASE_SECONDS
from cloudx.domain.names import HostNames
from cloudx.domain.port_set import PortSet
from cloudx.domain.proof.attempts import Sending
from cloudx.domain.tools import Tool
from cloudx.services.ledger.probes import AttemptAt, Probes

from .followed_places import FollowedPlace, followed_places

_AFTER_A_SCAN = timedelta(seconds=60)  # no lease lasts longer, and no worker sends without one
_AFTER_AN_ATTEMPT = timedelta(seconds=LEASE_SECONDS)
_TEXTS_AT_ONCE = 20  # of targets: each may be megabytes
_PLACES_AT_ONCE = (4, 50)  # a statement of each size is made once: to make one takes longer than its search
_OF_ATTEMPT = attempts.c[
    "scan_id",
    "node_id",
    "source_ip",
    "started_at",
    "ended_at",
    "outcome",
    "policy_version",
    "address_start",
    "port_start",
    "port_count",
]
_OF_SCAN = scans.c["id", "tool", "type_name", "udp_too", "splits_ports", "created_by", "follows"]


class _Place(NamedTuple):
    """Where a scan has the address: its offset, and the lowest at which a chunk with it may start."""

    scan_id: str
    lowest: int
    offset: int


class SqlProbes(Probes):
    """Implements Probes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def attempts_at(self, address: Address, since: datetime, until: datetime, limit: int) -> Sequence[AttemptAt]:
        places = list(self._places(to_key(address), since, until))
        followed = followed_places(self._connection, [place.scan_id for place in places], to_key(address))
        places += [_Place(row.scan_id, row.address_start, row.offset) for row in followed]
        rows: list[RowMapping] = []
        size = next((size for size in _PLACES_AT_ONCE if size >= len(places)), _PLACES_AT_ONCE[-1])
        for first in range(0, len(places), size):
            rows += self._attempts(places[first : first + size], size, since, until, limit - len(rows))
            if len(rows) >= limit:
                break
        told = {scan.id: scan for scan in self._scans(sorted({row["scan_id"] for row in rows}), str(address))}
        attempts_there = (told[row["scan_id"]].attempt(row, followed) for row in rows)
        return sorted(attempts_there, key=lambda one: one.sending.started_at)

    def _places(self, key: int, since: datetime, until: datetime) -> Iterator[_Place]:
        """The scans of that time that have the address; the texts of their targets pass by a few at once."""
        ended_since = or_(scans.c.finished_at.is_(None), scans.c.finished_at >= since - _AFTER_A_SCAN)
        query = (
            select(scans.c.id, scans.c.widest_chunk, scan_targets.c.addresses)
            .join(scan_targets, scan_targets.c.scan_id == scans.c.id)
            .where(scans.c.started_at <= until, ended_since)
            .execution_options(yield_per=_TEXTS_AT_ONCE)
        )
        for scan_id, widest_chunk, addresses in self._connection.execute(query):
            offset = offset_in_texts(addresses.splitlines(), key)
            if offset is not None:
                yield _Place(scan_id, offset - widest_chunk + 1 if widest_chunk else 0, offset)

    def _attempts(
        self, places: Sequence[_Place], size: int, since: datetime, until: datetime, limit: int
    ) -> Sequence[RowMapping]:
        values: dict[str, object] = {"since": since - _AFTER_AN_ATTEMPT, "until": until, "at_most": limit}
        for number, place in zip(range(size), chain(places, repeat(places[0])), strict=False):
            values |= {f"{name}_{number}": value for name, value in place._asdict().items()}
        return self._connection.execute(_attempts_at(size), values).mappings().all()

    def _scans(self, scan_ids: Sequence[str], address: str) -> Iterator[_Scan]:
        query = (
            select(*_OF_SCAN, scan_targets.c.ports, scan_targets.c.host_names)
            .join(scan_targets, scan_targets.c.scan_id == scans.c.id)
            .where(scans.c.id.in_(scan_ids))
            .execution_options(yield_per=_TEXTS_AT_ONCE)
        )
        for row in self._connection.execute(query).mappings():
            names = json.loads(row["host_names"]).get(address)
            ports = PortSet.parse(row["ports"]) if row["ports"] else None
            is_whole = type_of(row).counts_hosts and not row["splits_ports"]
            yield _Scan(
                row["follows"] or row["id"], row["id"], Tool(row["tool"]), row["type_name"], ports, is_whole,
                row["created_by"], {address: tuple(names)} if names else {},
            )  # fmt: skip


@cache
def _attempts_at(size: int) -> Select[Any]:
    """The attempts at so many places; the bounds on their start are what the index takes."""
    keys = attempts.c
    at_places = (
        and_(
            keys.scan_id == bindparam(f"scan_id_{number}"),
            keys.address_start.between(bindparam(f"lowest_{number}"), bindparam(f"offset_{number}")),
            keys.address_start + keys.address_count > bindparam(f"offset_{number}"),
        )
        for number in range(size)
    )
    ended_since = or_(keys.ended_at.is_(None), keys.ended_at >= bindparam("since"))
    in_time = and_(keys.started_at <= bindparam("until"), ended_since)
    has_span = keys.address_count > literal_column("0")  # as the index has it, word for word
    return select(*_OF_ATTEMPT).where(or_(*at_places), has_span, in_time).limit(bindparam("at_most", type_=Integer))


@dataclass(frozen=True)
class _Scan:
    """What an answer tells of a scan."""

    public_id: str
    id: str
    tool: Tool
    type_name: str
    ports: PortSet | None
    has_all_ports: bool  # each chunk of it
    created_by: str
    named: HostNames

    def attempt(self, row: RowMapping, followed: Sequence[FollowedPlace]) -> AttemptAt:
        """The attempt of a row; `followed` has what second stages covered."""
        theirs = (one.ports for one in followed if one.scan_id == self.id and one.has(row["address_start"]))
        ports = next(theirs, self.ports)
        if ports is not None and not self.has_all_ports:  # as ChunkSpan.ports_of
            ports = ports.slice(row["port_start"], row["port_count"])
        return AttemptAt(
            scan_id=self.public_id,
            tool=self.tool,
            type_name=self.type_name,
            ports=str(ports) if ports is not None else None,
            asked_by=self.created_by,
            named=self.named,
            node_id=row["node_id"],
            source_ip=row["source_ip"],
            sending=Sending(row["started_at"], row["ended_at"], row["outcome"], row["policy_version"]),
        )
