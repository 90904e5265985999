"""The attempts at one address in a span of time: scans by time, then by their targets, then attempts by their place."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, or_, select
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

_AFTER_A_SCAN = timedelta(seconds=60)  # no lease lasts longer, and no worker sends without one
_AFTER_AN_ATTEMPT = timedelta(seconds=LEASE_SECONDS)
_TEXTS_AT_ONCE = 20  # of targets: each may be megabytes
_SCANS_AT_ONCE = 50
_OF_ATTEMPT = attempts.c[
    "scan_id", "node_id", "source_ip", "started_at", "ended_at", "outcome", "policy_version", "port_start", "port_count"
]
_OF_SCAN = scans.c["id", "tool", "type_name", "udp_too", "splits_ports", "created_by"]


@dataclass(frozen=True)
class _Place:
    """Where a scan has the address: its offset, and how many addresses its largest chunk has."""

    scan_id: str
    offset: int
    widest_chunk: int

    @property
    def is_in_span(self) -> ColumnElement[bool]:
        """True of the attempts at chunks with the address; the bounds on the start are what the index takes."""
        start = attempts.c.address_start
        could_reach = start.between(self.offset - self.widest_chunk + 1, self.offset)
        return and_(attempts.c.scan_id == self.scan_id, could_reach, start + attempts.c.address_count > self.offset)


class SqlProbes(Probes):
    """Implements Probes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def attempts_at(self, address: Address, since: datetime, until: datetime, limit: int) -> Sequence[AttemptAt]:
        places = list(self._places(to_key(address), since, until))
        rows: list[RowMapping] = []
        for first in range(0, len(places), _SCANS_AT_ONCE):
            rows += self._attempts(places[first : first + _SCANS_AT_ONCE], since, until, limit - len(rows))
            if len(rows) >= limit:
                break
        told = {scan.id: scan for scan in self._scans(sorted({row["scan_id"] for row in rows}), str(address))}
        return sorted((told[row["scan_id"]].attempt(row) for row in rows), key=lambda one: one.sending.started_at)

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
                yield _Place(scan_id, offset, widest_chunk)

    def _attempts(self, places: Sequence[_Place], since: datetime, until: datetime, limit: int) -> Sequence[RowMapping]:
        ended_since = or_(attempts.c.ended_at.is_(None), attempts.c.ended_at >= since - _AFTER_AN_ATTEMPT)
        query = (
            select(*_OF_ATTEMPT)
            .where(or_(*(place.is_in_span for place in places)), attempts.c.started_at <= until, ended_since)
            .limit(limit)
        )
        return self._connection.execute(query).mappings().all()

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
                row["id"], Tool(row["tool"]), row["type_name"], ports, is_whole, row["created_by"],
                {address: tuple(names)} if names else {},
            )  # fmt: skip


@dataclass(frozen=True)
class _Scan:
    """What an answer tells of a scan."""

    id: str
    tool: Tool
    type_name: str
    ports: PortSet | None
    has_all_ports: bool  # each chunk of it
    created_by: str
    named: HostNames

    def attempt(self, row: RowMapping) -> AttemptAt:
        """The attempt of a row."""
        ports = self.ports
        if ports is not None and not self.has_all_ports:  # as ChunkSpan.ports_of
            ports = ports.slice(row["port_start"], row["port_count"])
        return AttemptAt(
            scan_id=self.id,
            tool=self.tool,
            type_name=self.type_name,
            ports=str(ports) if ports is not None else None,
            asked_by=self.created_by,
            named=self.named,
            node_id=row["node_id"],
            source_ip=row["source_ip"],
            sending=Sending(row["started_at"], row["ended_at"], row["outcome"], row["policy_version"]),
        )
